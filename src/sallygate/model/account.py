"""Account: the person or program that keys, passwords and access codes belong to."""

from __future__ import annotations

from msgspec import Struct

NAME_CHARS_MAX = 128


class Account(Struct, frozen=True, gc=False, omit_defaults=True):
    """An account as stored. Limits are counted by its name."""

    name: str
    """1 to 128 printable ASCII characters without a colon, which ends the user name in Basic authentication."""
    plan: str
    scopes: tuple[str, ...] | None = None
    """None: all scopes of the plan. A named scope still counts only when the plan has it."""
    contact: str = ""
    """Where access codes go: an e-mail address, or whatever the delivery channel understands. None are sent without."""
    password: str = ""
    """One-way, in PHC string format (`$argon2id$...`); empty: no password opens it."""
    created_at: float = 0.0
    locked_at: float | None = None
    """Locked by an operator: no credential of the account counts."""
    note: str = ""
    revision: int = 0
    """Grows with every change in the store, so that a gate can ask for what is new."""


def is_account_name(name: str) -> bool:
    """Whether an account can be called so: one spelling for each, so that no two look alike or read two ways."""
    return (
        0 < len(name) <= NAME_CHARS_MAX
        and name.isascii()
        and name.isprintable()
        and ":" not in name
        and name == name.strip()
    )
