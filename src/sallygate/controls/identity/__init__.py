"""Who is calling: by which credential, on which plan, with which scopes.

Threat: invented, guessed, stolen, expired and over-powerful credentials (OWASP API2, API5).
Evidence: `identity.missing`, `identity.invalid` (the client is told no more; `rule` says which check failed to the
operator), `identity.ambiguous`, `identity.scope`, `identity.plan`.
Known bypasses: a stolen credential is a good one until it is revoked, or its new location is noticed.
Cost: that of the credential's kind, a module each.
"""

from __future__ import annotations

from sallygate.controls.identity.failure import invalid
from sallygate.controls.identity.keys import ALPHABET, ApiKeys, KeptHmac, KeyRing, base62
from sallygate.controls.identity.scopes import ALL_SCOPES
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Work, WorkDone
from sallygate.parsing.tokens import parse_authorization
from sallygate.policy.schema import Identity, Plan
from sallygate.state import State

__all__ = ["ALPHABET", "IdentityControl", "KeptHmac", "KeyRing", "base62"]


class IdentityControl:
    def __init__(self, section: Identity, plans: dict[str, Plan], ring: KeyRing, state: State) -> None:
        self._header = section.api_keys.header.lower()
        self._schemes = {name for name in ("bearer", "basic") if getattr(section.api_keys, name)}
        self._public = frozenset(section.public)
        self._keys = ApiKeys({name: frozenset(plan.scopes) for name, plan in plans.items()}, ring, state)
        schemes = [scheme.capitalize() for scheme in sorted(self._schemes)] or ["ApiKey"]
        self.challenge = ", ".join(f'{scheme} realm="api"' for scheme in schemes).encode()
        self.credential_headers = {self._header.encode()} | ({b"authorization"} if self._schemes else set())
        """What must not travel on to the API."""

    def needs_identity(self, operation: Operation | None) -> bool:
        if operation is None or operation.security is None:
            return operation is None or operation.id not in self._public
        optional = not operation.security or any(not alternative for alternative in operation.security)
        return not optional and operation.id not in self._public

    def admit(
        self, head: RequestHead, operation: Operation | None, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Finding | Work | None:
        """The principal; a finding; what to find out first; or None for a caller who need not say who it is."""
        sent = head.fields.get(self._header)
        if self._schemes and "authorization" in head.fields:
            authorization = parse_authorization(head.fields["authorization"])
            if authorization is None or authorization[0] not in self._schemes:
                return invalid("authorization is malformed or of a scheme that is not accepted")
            if sent is not None and sent != authorization[1]:
                return Finding("identity.ambiguous", "Two different credentials were sent.", 400, owasp="API2")
            sent = authorization[1]
        if sent is not None:
            return self._keys.admit(sent, now, done)
        if not self.needs_identity(operation):
            return None
        return Finding("identity.missing", "This operation needs an API key.", 401, owasp="API2")

    def authorise(self, principal: Principal, operation: Operation | None) -> Finding | None:
        """Whether the principal's scopes allow the operation. Asked after limits, so that probing is paid for."""
        if operation is None or not operation.security or ALL_SCOPES in principal.scopes:
            return None
        wanted: list[str] = []
        for alternative in operation.security:
            wanted = [scope for scopes in alternative.values() for scope in scopes if scope not in principal.scopes]
            if not wanted:
                return None
        return Finding("identity.scope", f"This key does not have the scope {', '.join(wanted)}.", 403,
                       rule=wanted[0], evidence=principal.id, owasp="API5")  # fmt: skip
