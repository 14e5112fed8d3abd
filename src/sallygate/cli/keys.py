"""Commands `sallygate keys`: API keys. A key is printed once, at its creation, and is not stored."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    administration,
    duration,
    err,
    load,
    moment,
    out,
    plainly,
    print_json,
    print_record,
)
from sallygate.model.principal import Credential

app = typer.Typer(help="API keys: create, list, show, rotate, revoke.", no_args_is_help=True)
KeyArgument = Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")]


@app.command()
@plainly
def create(
    account: Annotated[str, typer.Option(help="Account of the key. Limits count by account.")],
    plan: Annotated[str, typer.Option(help="A plan of the policy.")],
    scope: Annotated[list[str] | None, typer.Option(help="Only these scopes of the plan; repeat for several.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="Life of the key, 90d.")] = None,
    note: Annotated[str, typer.Option(help="Note for operators.")] = "",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Create a key and print it once.

    Example: sallygate keys create --account alice --plan free
    """
    loaded = load(policy, state_dir)
    if loaded is not None and plan not in loaded.plans:
        raise ValueError(f"the policy has no plan {plan!r}; it has: {', '.join(loaded.plans)}")
    with administration(policy, state_dir) as admin:
        for_s = duration(for_) if for_ else None
        credential, text = admin.create_key(account, plan, tuple(scope) if scope else None, for_s, note)
    _print_new(credential, text, json)


@app.command("list")
@plainly
def list_(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the keys' records, without the keys themselves.

    Example: sallygate keys list --account alice
    """
    with administration(policy, state_dir) as admin:
        keys = [key for key in admin.all_keys() if account is None or key.account == account]
    if json:
        print_json([_record(key) for key in keys])
        return
    table = Table(Column("id", no_wrap=True), "account", "plan", "scopes", "created", "expires", "state", "note")
    for key in keys:
        scopes = "the plan's" if key.scopes is None else " ".join(key.scopes)
        table.add_row(key.id, escape(key.account), key.plan, scopes, moment(key.created_at), moment(key.expires_at),
                      _state(key), escape(key.note))  # fmt: skip
    out.print(table if keys else "no keys; create one with `sallygate keys create`")


@app.command()
@plainly
def show(
    key: KeyArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show one key's record.

    Example: sallygate keys show 4KcVbW0R2ZqT
    """
    with administration(policy, state_dir) as admin:
        record = _record(admin.key(key))
    print_record(record, json)


@app.command()
@plainly
def rotate(
    key: KeyArgument,
    keep: Annotated[str, typer.Option(help="How long the old key still works.")] = "24h",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Create a successor of a key; the old key still works for a while.

    Example: sallygate keys rotate 4KcVbW0R2ZqT --keep 2h
    """
    with administration(policy, state_dir) as admin:
        old, new, text = admin.rotate_key(key, duration(keep))
    if not json:
        err.print(f"key {old.id} works until {moment(old.expires_at)}", highlight=False)
    _print_new(new, text, json, {"replaces": old.id, "old_expires_at": old.expires_at})


@app.command()
@plainly
def revoke(
    key: KeyArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """End a key now; a running gate refuses it within 300 ms.

    Example: sallygate keys revoke 4KcVbW0R2ZqT
    """
    with administration(policy, state_dir) as admin:
        record = admin.revoke_key(key)
    if json:
        print_json(_record(record))
    else:
        out.print(f"key {record.id} of {record.account} is revoked", highlight=False)


def _print_new(key: Credential, text: str, json: bool, more: dict[str, object] | None = None) -> None:
    if json:
        print_json({"key": text, **_record(key), **(more or {})})
        return
    err.print(f"key {key.id} for {key.account} on plan {key.plan}; the key is shown only once:", highlight=False)
    typer.echo(text)


def _record(key: Credential) -> dict[str, object]:
    """Record without the digest."""
    return {
        "id": key.id, "account": key.account, "plan": key.plan,
        "scopes": None if key.scopes is None else list(key.scopes),
        "created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at,
        "replaced_by": key.replaced_by, "note": key.note, "state": _state(key),
    }  # fmt: skip


def _state(key: Credential) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.alive(time.time()):
        return "expired"
    return "rotating" if key.replaced_by else "active"
