"""Commands `sallygate explain`, `replay` and `events`: decisions made, or simulated, with their reasons."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    NO,
    STATE,
    USAGE,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    bytes_progress,
    duration,
    err,
    fail,
    find_installation,
    named_policy,
    out,
    plainly,
    print_json,
    with_policy,
    writable,
)
from sallygate.model.event import Event
from sallygate.model.finding import COLOURS, Finding

if TYPE_CHECKING:
    from sallygate.offline.decide import Verdict
    from sallygate.offline.replay import Summary

FOLLOW_S = 0.2


@plainly
def explain(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A raw HTTP message, a curl line or a line of JSON; - is standard input. A policy may precede it.",
            metavar="[POLICY] FILE",
        ),
    ],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    client: Annotated[str, typer.Option(help="Client address of the request.")] = "127.0.0.1",
    json: JsonOption = False,
) -> None:
    """Show the controls that run for a request, their findings and the decision. Sends nothing.

    Example: sallygate explain sallygate.yaml request.http

    Exit code 1 when the request would be refused.
    """
    from msgspec.structs import replace

    from sallygate.engine.evaluation import Step
    from sallygate.offline.decide import Offline
    from sallygate.offline.recordings import from_text

    policy, named = with_policy([str(path) for path in paths], policy, "file of a request")
    offline = Offline(_policy_of(policy, state_dir), state_dir)
    text = sys.stdin.buffer.read() if named == "-" else _read(Path(named))
    recorded = replace(from_text(text), client=client)
    trace: list[Step] = []
    verdict = offline.decide(recorded, trace=trace)
    if json:
        print_json(_explained(verdict, trace))
    else:
        _print_explained(verdict, trace, f"{recorded.method} {recorded.raw_path.decode('latin-1')}")
    if verdict.decision.verdict != "allow":
        raise typer.Exit(NO)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}", USAGE)


def _policy_of(policy: Path, state_dir: Path | None) -> Path:
    return state_dir / DEFAULT_POLICY if state_dir is not None and policy == DEFAULT_POLICY else policy


def _explained(verdict: Verdict, trace: list[Any]) -> dict[str, object]:
    return {
        "decision": verdict.decision.verdict,
        "status": verdict.status,
        "reasons": verdict.decision.reasons,
        "operation": verdict.operation.id if verdict.operation else None,
        "principal": verdict.principal.id if verdict.principal else None,
        "account": verdict.principal.account if verdict.principal else None,
        "answered_by_gate": verdict.answered,
        "findings": verdict.decision.findings,
        "steps": trace,
    }


def _print_explained(verdict: Verdict, trace: list[Any], title: str) -> None:
    steps = Table("phase", "control", "outcome", title=escape(title), title_justify="left")
    for step in trace:
        steps.add_row(step.phase, step.control, escape(step.outcome))
    out.print(steps)
    for finding in verdict.decision.findings:
        out.print(_finding_line(finding), highlight=False)
    who = f" for {verdict.principal.account} ({verdict.principal.plan})" if verdict.principal else ""
    what = f" of {verdict.operation.id}" if verdict.operation else ""
    colour = COLOURS[verdict.decision.verdict]
    by = ", answered by the gate" if verdict.answered else ""
    out.print(
        f"[{colour}]{verdict.decision.verdict}[/{colour}] {verdict.status}{escape(what + who)}{by}",
        highlight=False,
    )


def _finding_line(finding: Finding) -> str:
    parts = [f"[bold]{finding.code}[/bold]", escape(finding.detail)]
    parts += [f"[dim]{name} {escape(value)}[/dim]" for name, value in
              (("at", finding.where), ("rule", finding.rule), ("evidence", finding.evidence)) if value]  # fmt: skip
    return "  ".join(parts) + (" [yellow](shadow)[/yellow]" if finding.mode == "shadow" else "")


@plainly
def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Recorded requests, one line of JSON each; may be gzipped. A policy may precede it.",
            metavar="[POLICY] FILE",
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write the decisions here, one line each; - is standard output."),
    ] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Decide recorded requests under a policy. Sends nothing.

    Example: sallygate replay sallygate.yaml yesterday.jsonl.gz --out decisions.jsonl

    Exit code 1 when a line could not be read.
    """
    from sallygate.offline.decide import Offline
    from sallygate.offline.replay import open_recorded
    from sallygate.offline.replay import replay as run

    policy, named = with_policy([str(path) for path in paths], policy, "file of recorded requests")
    file = Path(named)
    if file.suffix in (".yaml", ".yml"):
        fail(f"{file} is a policy; name the recorded requests after it", USAGE)
    if not file.is_file():
        fail(f"{file}: there is no such file", USAGE)
    offline = Offline(policy, state_dir)
    with ExitStack() as stack:
        write = _writer(stack, out_file)
        plain, raw = stack.enter_context(open_recorded(file))
        done = stack.enter_context(bytes_progress("deciding", file.stat().st_size))
        lines = 0

        def advance(_: int) -> None:
            nonlocal lines
            lines += 1
            if lines % 256 == 0:
                done(raw.tell())

        summary = run(offline, plain, write, advance)
    _print_summary(summary, json, to_stderr=str(out_file) == "-")
    if summary.unreadable:
        raise typer.Exit(NO)


def _writer(stack: ExitStack, out_file: Path | None) -> Callable[[bytes], object] | None:
    if out_file is None:
        return None
    if str(out_file) == "-":
        return sys.stdout.buffer.write
    own = writable(out_file, lambda beginning: b'"decision":' in beginning.partition(b"\n")[0])
    stream: IO[bytes] = stack.enter_context(own.open("wb"))
    return stream.write


def _print_summary(summary: Summary, json: bool, *, to_stderr: bool) -> None:
    rate = summary.requests / summary.seconds if summary.seconds else 0.0
    if json:
        print_json({
            "requests": summary.requests, "decisions": summary.decisions, "reasons": summary.reasons,
            "shadow": summary.shadow_reasons, "unreadable": summary.unreadable, "per_s": round(rate, 1),
            "us_median": summary.quantile_us(0.5), "us_p99": summary.quantile_us(0.99),
        })  # fmt: skip
        return
    table = Table("decision or reason", "requests", "share", title="replay", title_justify="left")
    total = max(summary.requests, 1)
    for name, number in summary.decisions.most_common():
        table.add_row(f"[{COLOURS[name]}]{name}[/{COLOURS[name]}]", f"{number:,}", f"{number / total:.2%}")
    table.add_section()
    for name, number in summary.reasons.most_common():
        table.add_row(name, f"{number:,}", f"{number / total:.2%}")
    for name, number in summary.shadow_reasons.most_common():
        table.add_row(f"{name} (shadow)", f"{number:,}", f"{number / total:.2%}")
    terminal = err if to_stderr else out
    terminal.print(table)
    terminal.print(
        f"{summary.requests:,} requests in {summary.seconds:.1f} s ({rate:,.0f}/s); "
        f"median {summary.quantile_us(0.5):.0f} µs, p99 {summary.quantile_us(0.99):.0f} µs",
        highlight=False,
    )
    if summary.unreadable:
        err.print(f"{summary.unreadable} lines could not be read (replay.unreadable)", style="red")


@plainly
def events(
    policy_file: PolicyArgument = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow new events until Ctrl-C.")] = False,
    decision: Annotated[str | None, typer.Option(help="allow, challenge, throttle, deny or terminate.")] = None,
    principal: Annotated[str | None, typer.Option(help="key:<id>, or an account.")] = None,
    since: Annotated[str, typer.Option(help="Time to look back, 10m.")] = "1h",
    limit: Annotated[int, typer.Option(help="Largest number of events, the latest ones; 0 is all.")] = 1000,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Print events: decisions with principal and reason, and administrative acts.

    Example: sallygate events --follow --decision deny --since 10m
    """
    if decision is not None and decision not in COLOURS:
        raise ValueError(f"--decision is one of {', '.join(COLOURS)}")
    policy = named_policy(policy_file, policy)
    if state_dir is None:
        state_dir = find_installation(policy, None).directory
    if not state_dir.is_dir():
        fail(f"{state_dir}: there is no state directory", STATE)

    def wanted(event: Event) -> bool:
        if decision is not None and (event.decision != decision or event.kind == "audit"):
            return False
        return principal is None or principal in (
            event.principal,
            event.account,
            event.principal.removeprefix("key:"),
        )

    show = _print_event_json if json else _print_event
    found = [event for event in _past(state_dir, time.time() - duration(since)) if wanted(event)]
    for event in found[-limit:] if limit else found:
        show(event)
    if follow:
        _follow(state_dir, max((event.seq for event in found), default=-1), wanted, show)


def _past(state_dir: Path, since: float) -> list[Event]:
    from sallygate.stores.events import read_events
    from sallygate.stores.sqlite.store import SqliteStore

    acts: list[Event] = []
    if (state_dir / "sallygate.db").is_file():
        store = SqliteStore(state_dir / "sallygate.db", read_only=True)
        acts = list(store.acts(since))
        store.close()
    return sorted([*read_events(state_dir / "events", since), *acts], key=lambda event: event.at)


def _follow(state_dir: Path, after: int, wanted: Callable[[Event], bool], show: Callable[[Event], None]) -> None:
    for event in _new(state_dir, after):
        if wanted(event):
            show(event)


def _new(state_dir: Path, after: int) -> Iterator[Event]:
    from sallygate.stores.events import read_events

    begun = time.time() - 1
    try:
        while True:
            for event in read_events(state_dir / "events", begun if after < 0 else 0.0, after):
                after = event.seq
                yield event
            time.sleep(FOLLOW_S)
    except KeyboardInterrupt:
        return


def _print_event_json(event: Event) -> None:
    print_json(event)
    sys.stdout.flush()


def _print_event(event: Event) -> None:
    when = time.strftime("%H:%M:%S", time.localtime(event.at))
    if event.kind == "audit":
        who = f"{escape(event.subject)} by {escape(event.actor)}"
        line = f"[dim]{when}[/dim] [magenta]act[/magenta] {escape(event.act)} {who} [dim]{escape(event.note)}[/dim]"
    else:
        line = _exchange_line(event, when)
    out.print(line, highlight=False, soft_wrap=True)


def _exchange_line(event: Event, when: str) -> str:
    colour = COLOURS[event.decision]
    who = event.account or event.client_address
    codes = " ".join(dict.fromkeys(map(_finding, event.findings)))
    times = f" ×{event.count}" if event.count > 1 else ""
    took = f"[dim]{event.took_us / 1000:.1f} ms[/dim]" if event.took_us is not None else ""
    return (
        f"[dim]{when}[/dim] [{colour}]{event.decision:8}[/{colour}] {event.status} {escape(event.method):6} "
        f"{escape(event.path)} [bold]{escape(who)}[/bold] {escape(codes)}{times} {took}"
    )


def _finding(one: Finding) -> str:
    """Code, rule, the part of the request it is in, and whether it refused nothing."""
    rule = f"({one.rule})" if one.rule else ""
    where = f" at {one.where}" if one.where else ""
    return f"{one.code}{rule}{where}{' in shadow' if one.mode == 'shadow' else ''}"
