"""Commands `sallygate accounts`. A password is read from a prompt and is never an argument, since other users of the
machine can see arguments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    actor,
    load,
    moment,
    opened,
    out,
    plainly,
    print_json,
    print_record,
)

if TYPE_CHECKING:
    from sallygate.admin.accounts import Accounts
    from sallygate.model.account import Account
    from sallygate.policy.load import Loaded

app = typer.Typer(help="Accounts: create, list, show, lock, unlock, reset, sign out.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password, or its hash, from standard input.")
]
NoneOption = Annotated[bool, typer.Option("--no-password", help="Create the account without a password.")]
HashOption = Annotated[
    bool,
    typer.Option("--hash", help="The input is a hash of another system: Argon2, bcrypt, scrypt or PBKDF2."),
]
STDIN_CHARS_MAX = 4096


@contextmanager
def _accounts(policy: Path, state_dir: Path | None, loaded: Loaded | None = None) -> Iterator[Accounts]:
    """`loaded` is the policy that says how passwords are hashed, for commands that set one."""
    from sallygate.admin.accounts import Accounts
    from sallygate.security.passwords import LOW_MEMORY

    with opened(policy, state_dir) as (_, store):
        yield Accounts(store, actor(), loaded.policy.accounts.hashing if loaded is not None else LOW_MEMORY)


def _read_password(stdin: bool, none: bool, hashed: bool) -> tuple[str | None, str | None]:
    """(password, hash)."""
    if none and (stdin or hashed):
        raise ValueError("--no-password goes with neither --password-stdin nor --hash")
    if none:
        return None, None
    if stdin or not sys.stdin.isatty():
        if not stdin:
            raise ValueError("there is no terminal to ask for the password; say --password-stdin or --no-password")
        text = sys.stdin.readline(STDIN_CHARS_MAX).rstrip("\r\n")
    else:
        text = typer.prompt("hash" if hashed else "password", hide_input=True, confirmation_prompt=not hashed, err=True)
    if not text:
        raise ValueError("the password is empty; say --no-password for none")
    return (None, text) if hashed else (text, None)


@app.command()
@plainly
def create(
    name: NameArgument,
    plan: Annotated[str, typer.Option(help="A plan of the policy.")],
    scope: Annotated[list[str] | None, typer.Option(help="Only these scopes of the plan; repeat for several.")] = None,
    contact: Annotated[str, typer.Option(help="E-mail address for access codes.")] = "",
    note: Annotated[str, typer.Option(help="Note for operators.")] = "",
    password_stdin: StdinOption = False,
    no_password: NoneOption = False,
    hash_: HashOption = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Create an account, with a password from a prompt.

    Example: sallygate accounts create alice --plan free --contact alice@example.org
    """
    loaded = load(policy, state_dir)
    if loaded is not None and plan not in loaded.plans:
        raise ValueError(f"the policy has no plan {plan!r}; it has: {', '.join(loaded.plans)}")
    with _accounts(policy, state_dir, loaded) as accounts:
        password, imported = _read_password(password_stdin, no_password, hash_)
        made = accounts.create(name, plan, tuple(scope) if scope else None, contact, password, imported, note)
    _say(made, f"account {made.name} on plan {made.plan} is made", json)


@app.command("list")
@plainly
def list_(
    locked: Annotated[bool, typer.Option("--locked", help="Only locked ones.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the accounts.

    Example: sallygate accounts list --locked
    """
    with _accounts(policy, state_dir) as accounts:
        found = [one for one in accounts.all() if not locked or one.locked_at is not None]
    if json:
        print_json([_record(one) for one in found])
        return
    table = Table(Column("name", no_wrap=True), "plan", "scopes", "contact", "password", "created", "locked", "note")
    for one in found:
        scopes = "the plan's" if one.scopes is None else " ".join(one.scopes)
        table.add_row(one.name, one.plan, scopes, escape(one.contact), _kind(one), moment(one.created_at),
                      moment(one.locked_at), escape(one.note))  # fmt: skip
    out.print(table if found else "no accounts; create one with `sallygate accounts create`")


@app.command()
@plainly
def show(
    name: NameArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show one account's record, without its password or hash.

    Example: sallygate accounts show alice
    """
    with _accounts(policy, state_dir) as accounts:
        record = _record(accounts.account(name))
    print_record(record, json)


@app.command()
@plainly
def lock(
    name: NameArgument,
    why: Annotated[str, typer.Option(help="Reason, for the audit event.")] = "",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Lock an account: a running gate refuses its credentials, keys included, within 300 ms.

    Example: sallygate accounts lock alice --why "laptop stolen"
    """
    with _accounts(policy, state_dir) as accounts:
        done = accounts.lock(name, why)
    _say(done, f"account {done.name} is locked", json)


@app.command()
@plainly
def unlock(
    name: NameArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Unlock an account: its credentials count again.

    Example: sallygate accounts unlock alice
    """
    with _accounts(policy, state_dir) as accounts:
        done = accounts.unlock(name)
    _say(done, f"account {done.name} is open", json)


@app.command()
@plainly
def reset(
    name: NameArgument,
    password_stdin: StdinOption = False,
    no_password: NoneOption = False,
    hash_: HashOption = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Set another password, or none; the old one stops working within 300 ms.

    Example: sallygate accounts reset alice
    """
    with _accounts(policy, state_dir, load(policy, state_dir)) as accounts:
        accounts.account(name)  # before a password is asked for
        password, imported = _read_password(password_stdin, no_password, hash_)
        done = accounts.reset(name, password, imported)
    _say(done, f"account {done.name} has {'a new' if done.password else 'no'} password", json)


@app.command("sign-out")
@plainly
def sign_out(
    name: NameArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """End every sign-in of an account: its refresh and access tokens stop working within 300 ms.

    Example: sallygate accounts sign-out alice
    """
    from sallygate.cli.locations import locations

    with locations(policy, state_dir) as admin:
        ended = admin.sign_out(name)
    if json:
        print_json({"account": name, "ended": [grant.id for grant in ended]})
    else:
        out.print(f"{len(ended)} sign-ins of {name} are ended", highlight=False)


def _say(account: Account, said: str, json: bool) -> None:
    if json:
        print_json(_record(account))
    else:
        out.print(said, highlight=False)


def _record(account: Account) -> dict[str, object]:
    """Record without the hash."""
    return {
        "name": account.name, "plan": account.plan,
        "scopes": None if account.scopes is None else list(account.scopes),
        "contact": account.contact, "password": _kind(account),
        "created_at": account.created_at, "locked_at": account.locked_at, "note": account.note,
    }  # fmt: skip


def _kind(account: Account) -> str:
    """How the password is kept: `argon2id`, `bcrypt`, or none."""
    from sallygate.security.passwords import kind_of

    return kind_of(account.password) if account.password else "none"
