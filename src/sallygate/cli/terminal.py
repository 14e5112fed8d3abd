"""Common parts of the commands: terminal output, error messages, and opening an installation."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sallygate.parsing.printable import printable
from sallygate.policy.errors import PolicyError
from sallygate.policy.units import read_duration_s
from sallygate.ports import StateStore, StoreError

if TYPE_CHECKING:  # loaded when a command needs them: `--help` should not wait for a web server
    from sallygate.admin.keys import Administration
    from sallygate.policy.load import Loaded
    from sallygate.security.state_directory import Installation

BEGINNING_BYTES = 1 << 20
"""Start of a file that shows its kind: a recorded request is one line."""
NO, USAGE, STATE = 1, 2, 3
"""Exit codes, see the package."""

CONFIRM_S, CONFIRM_POLL_S = 3.0, 0.03
"""How long a command waits for the running gate, which looks ten times a second, and how often it asks."""
WIDE = 160
"""Columns where there is no terminal to ask: a pipe or a file should not break ids."""


class Terminal(Console):
    """Console that shows every text as one line: reasons, notes and paths are others' words, and must not look like
    lines of ours. Text of several lines is printed as a `rich.text.Text`, see `lines`."""

    def render_str(self, text: str, **how: Any) -> Text:  # Any: rich's own options
        """Render text with control characters escaped, so that no event can forge a line."""
        return super().render_str(printable(text), **how)


def lines(texts: Iterable[str]) -> Text:
    """A cell or an output of several lines."""
    return Text("\n".join(map(printable, texts)))


def _console(*, stderr: bool) -> Terminal:
    stream = sys.stderr if stderr else sys.stdout
    # No `:name:` emoji: names of plans and limits contain colons.
    return Terminal(stderr=stderr, emoji=False, width=None if stream.isatty() else WIDE)


out = _console(stderr=False)
err = _console(stderr=True)
P = ParamSpec("P")
R = TypeVar("R")

PolicyOption = Annotated[
    Path,
    typer.Option("--policy", "-p", envvar="SALLYGATE_POLICY", help="The policy file.", show_default=True),
]
PolicyArgument = Annotated[
    Path | None,
    typer.Argument(help="The policy file, instead of `--policy`.", metavar="[POLICY]", show_default=False),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state-dir", envvar="SALLYGATE_STATE_DIR", help="The state directory, instead of the policy's."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT_POLICY = Path("sallygate.yaml")


def named_policy(argument: Path | None, option: Path) -> Path:
    """The policy file of a command that takes it as an argument or by `--policy`."""
    if argument is not None and option not in (DEFAULT_POLICY, argument):
        fail(f"two policies are named, {argument} and {option}; name one", USAGE)
    return argument or option


def with_policy(arguments: list[str], option: Path, what: str) -> tuple[Path, str]:
    """The policy file and the one argument of a command, before which the policy may stand."""
    if len(arguments) > 2:
        fail(f"name one {what}, and before it the policy", USAGE)
    return named_policy(Path(arguments[0]) if len(arguments) == 2 else None, option), arguments[-1]


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Context manager for commands: an error of the user's becomes one line a problem, and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except PolicyError as error:
            for problem in error.problems:
                err.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(NO) from None
        except StoreError as error:
            fail(str(error), STATE)
        except ValueError as error:
            fail(str(error), USAGE)
        except EOFError:
            fail("the file ends too early: it was cut", USAGE)
        except BrokenPipeError:
            # `sallygate events | head`: the reader has what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(0) from None
        except OSError as error:
            fail(f"{error.filename or 'the system'}: {error.strerror or error}", STATE)

    return run


def fail(message: str, code: int) -> NoReturn:
    """Print an error and end the command with exit code `code`."""
    err.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def writable(file: Path, is_own: Callable[[bytes], bool]) -> Path:
    """`file`, where there is none yet or one of the command's own kind, by its first bytes. A typing error must not
    cost a policy or a recording: anything else ends the command."""
    if not file.is_file():  # a device or a pipe keeps nothing
        return file
    try:
        with file.open("rb") as stream:
            beginning = stream.read(BEGINNING_BYTES)
    except OSError as error:
        fail(f"{file}: {error.strerror}", USAGE)
    if beginning and not is_own(beginning):
        fail(f"{file}: is another kind of file, and is left as it is; name another one, or move it away", USAGE)
    return file


def print_json(value: object) -> None:
    """One line of JSON on standard output, unstyled."""
    text = msgspec.json.encode(value).decode()
    # Valid JSON may still drive a terminal: what is not printable stands in strings only.
    typer.echo(text if text.isprintable() else "".join(c if c.isprintable() else dumps(c)[1:-1] for c in text))


def print_record(record: Mapping[str, object], json: bool) -> None:
    """One thing's names and values, or the same as JSON."""
    if json:
        print_json(record)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in record.items():
        shown = moment(value) if name.endswith("_at") and isinstance(value, float) else escape(str(value or ""))
        table.add_row(f"[bold]{name}[/bold]", shown)
    out.print(table)


@contextmanager
def bytes_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; call it with the bytes done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("bytes"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


def duration(text: str) -> float:
    """A `--for`, `--since` or `--keep` in seconds."""
    return read_duration_s(text)


def moment(at: float | None) -> str:
    """Time in the machine's time zone, as `YYYY-MM-DD HH:MM:SS`; empty for None."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@contextmanager
def opened(policy: Path, state_dir: Path | None) -> Iterator[tuple[Installation, StateStore]]:
    """The installation of `policy`, or the one in `state_dir`; held, with its store open. What was changed within is
    taken over by the gate that runs, if one does, before this ends. Raises `StoreError` where it is not."""
    from sallygate.stores.sqlite.opening import open_store

    installation = find_installation(policy, state_dir)
    with installation.held(alone=False):
        store = open_store(installation)
        try:
            before = store.last_act()
            yield installation, store
            if (act := store.last_act()) > before:
                _confirm(installation, act)
        finally:
            store.close()


def _confirm(installation: Installation, act: int) -> None:
    """Wait until the gate that runs has taken the act of that number over; say so where none runs."""
    from sallygate.telemetry.control import ask_status

    ends, said = time.monotonic() + CONFIRM_S, "it does not answer"
    while installation.is_served():
        try:
            found = ask_status(installation.control)
        except (OSError, msgspec.MsgspecError) as error:
            found, said = None, str(error)
        if found is not None:
            if not all(store.ok for store in found.stores if store.name == "state"):
                said, ends = "it cannot read the database, or has another file of that name open; restart it", 0.0
            elif found.act_taken_over >= act:
                return
            else:
                said = f"process {found.pid} has not in {CONFIRM_S:.0f} s; `sallygate status` says more"
        if time.monotonic() >= ends:
            raise StoreError(
                f"{installation.database}: the change was written, but the running gate has not taken it over, so that "
                f"it does not hold: {said}"
            )
        time.sleep(CONFIRM_POLL_S)
    starts = "the gate is starting on" if installation.is_starting() else "no gate runs on"
    when = "once it has started" if starts.startswith("the") else "from its next start"
    err.print(f"{starts} {installation.directory}: this holds {when}", markup=False,
              highlight=False, soft_wrap=True)  # fmt: skip


def gate_runs(policy: Path, state_dir: Path | None) -> bool:
    """Whether a gate serves from the installation, so that what `opened` changed is in force."""
    return find_installation(policy, state_dir).is_served()


@contextmanager
def administration(policy: Path, state_dir: Path | None) -> Iterator[Administration]:
    """Keys and restrictions of the installation, see `opened`."""
    from sallygate.admin.keys import Administration
    from sallygate.security.key_ring import KeyRing

    with opened(policy, state_dir) as (installation, store):
        yield Administration(store, KeyRing(installation.pepper()), actor())


def find_installation(policy: Path, state_dir: Path | None) -> Installation:
    """The one in `state_dir`, which must be there; or that of `policy`, whatever else is wrong in it."""
    from sallygate.security.state_directory import Installation

    installation = Installation(state_directory(policy, state_dir), create=state_dir is None)
    if installation.shared:
        err.print(f"every user of this machine may write to {installation.directory}: `chmod 700` it", style="yellow",
                  markup=False, highlight=False, soft_wrap=True)  # fmt: skip
    return installation


def load(policy: Path, state_dir: Path | None) -> Loaded | None:
    """`policy`, or the one beside the state in `state_dir` where there is one. Raises `PolicyError`."""
    from sallygate.policy.load import load_policy

    if state_dir is None:
        return load_policy(policy, "replay")
    inside = state_dir / DEFAULT_POLICY
    return load_policy(inside, "replay") if inside.is_file() else None


def state_directory(policy: Path, state_dir: Path | None) -> Path:
    """Where the installation of `policy` keeps its state, without making it. A policy that does not apply any more
    still says where, if it can be read at all: what is wrong may be what somebody wants to look into."""
    from sallygate.policy.reading import state_directory_of

    return state_dir if state_dir is not None else state_directory_of(policy)


def actor() -> str:
    """Who acts, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
