"""What a caller may do of what its plan offers."""

from __future__ import annotations

from collections.abc import Iterable

ALL_SCOPES = "*"


def granted(offered: frozenset[str], named: Iterable[str] | None) -> frozenset[str]:
    """The scopes of a credential that names some of those its plan offers; None names all."""
    if named is None:
        return offered
    own = frozenset(named)
    return own if ALL_SCOPES in offered else offered & own
