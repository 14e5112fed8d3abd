"""Control of scopes: refuses operations that the principal's scopes do not cover.

Threat: calling operations that a credential was not given (OWASP API5). Evidence: `identity.scope` (403), the scope.
Known bypasses: none of its own; an operation without `security` in the contract asks for no scope. Cost: 0.2 µs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from sallygate.model.control import Everywhere
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.state.parts import Parts

ALL_SCOPES = "*"


class ScopesControl(Everywhere):
    """Whether a principal's scopes allow an operation. Asked after limits, so that probing is paid for."""

    name: ClassVar = "scopes"
    section: ClassVar = "identity"

    @classmethod
    def build(cls, parts: Parts) -> ScopesControl:
        """The control of a policy."""
        return cls()

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """Refuses an operation that needs a scope the caller does not have."""
        principal = evaluation.principal
        finding = self.judge(principal, evaluation.operation) if principal is not None else None
        return Judgement((finding,)) if finding is not None else None

    def judge(self, principal: Principal, operation: Operation | None) -> Finding | None:
        """What the operation asks for and the principal does not have."""
        if operation is None or not operation.security or ALL_SCOPES in principal.scopes:
            return None
        wanted: list[str] = []
        for alternative in operation.security:
            wanted = [scope for scopes in alternative.values() for scope in scopes if scope not in principal.scopes]
            if not wanted:
                return None
        return Finding("identity.scope", f"This key does not have the scope {', '.join(wanted)}.", 403,
                       rule=wanted[0], evidence=principal.id, owasp="API5")  # fmt: skip


def granted(offered: frozenset[str], named: Iterable[str] | None) -> frozenset[str]:
    """The scopes of a credential that names some of those its plan offers; None names all."""
    if named is None:
        return offered
    own = frozenset(named)
    return own if ALL_SCOPES in offered else offered & own
