"""Control of identity: finds the principal, its plan and its scopes from a credential.

Threat: invented, guessed, stolen, expired and over-powerful credentials (OWASP API2, API5).
Evidence: `identity.missing`, `identity.invalid` (the client learns no more; `rule` says which check failed to the
operator), `identity.forged`, `identity.ambiguous`, `identity.scope`, `identity.plan`, `identity.guesses`,
`identity.busy`, `identity.unavailable`.
Known bypasses: a stolen credential is a good one until it is revoked, or its new location is noticed.
Cost: that of the credential's kind, a module each.
"""

from __future__ import annotations

from typing import ClassVar

from sallygate.controls.identity.account_lookup import AccountHolders
from sallygate.controls.identity.claims import Claims
from sallygate.controls.identity.failure import invalid, missing
from sallygate.controls.identity.guesses import Guesses
from sallygate.controls.identity.keys import ApiKeys
from sallygate.controls.identity.outcomes import Asking, Proven, Refused
from sallygate.controls.identity.passwords import Passwords
from sallygate.controls.identity.scopes import ScopesControl, granted
from sallygate.controls.identity.tokens import FORGED_TABLE, OwnIssuer, Tokens
from sallygate.model.account import Account
from sallygate.model.control import Everywhere
from sallygate.model.decision import retry_after
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.principal import Credential, Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import OwnWork, WorkDone
from sallygate.parsing.http.credentials import parse_api_key, parse_authorization, parse_basic, seems_api_key
from sallygate.policy.accounts import AccountsSection
from sallygate.policy.identity import Identity
from sallygate.policy.schema import Plan, Policy
from sallygate.security.key_ring import KeyRing
from sallygate.state.counters import RateTable
from sallygate.state.parts import Parts
from sallygate.state.state import State

__all__ = [
    "ACCOUNT",
    "FORGED_TABLE",
    "Asking",
    "Guesses",
    "IdentityControl",
    "OwnIssuer",
    "Proven",
    "Refused",
    "ScopesControl",
    "granted",
    "missing",
    "own_issuer",
]


UNAVAILABLE_S = 5.0
"""After which a store or an issuer that did not answer may be asked again."""
ACCOUNT = "account:"
"""Before an account's name, where a key's id may stand too."""


class IdentityControl(Everywhere):
    """Who is calling."""

    name: ClassVar = "identity"
    section: ClassVar = "identity"

    def __init__(
        self,
        section: Identity,
        plans: dict[str, Plan],
        ring: KeyRing,
        state: State,
        accounts: AccountsSection,
        now: float,
        own: OwnIssuer | None = None,
    ) -> None:
        self._header = section.api_keys.header.lower()
        self._bearer_keys = section.api_keys.bearer
        self._schemes = {name for name in ("bearer", "basic") if getattr(section.api_keys, name)}
        self._public = frozenset(section.public)
        scopes = {name: frozenset(plan.scopes) for name, plan in plans.items()}
        self._keys = ApiKeys(scopes, ring, state)
        self._accounts = AccountHolders(scopes, state)
        self._tokens: Tokens | None = None
        if section.jwt or own is not None:
            self._schemes.add("bearer")
            forged = state.table(RateTable(FORGED_TABLE, section.forged.per_s, section.forged.burst), now)
            self._tokens = Tokens(section.jwt, scopes, forged, state, own, self._holder)
        self.guesses = Guesses(accounts.logins, state, ring.name_digest, now)
        basic = section.basic
        self._passwords = Passwords(self._accounts, self.guesses, state, basic.remember) if basic is not None else None
        asked = {f'{scheme.capitalize()} realm="api"' for scheme in self._schemes} or {'ApiKey realm="api"'}
        if basic is not None:
            asked = (asked - {'Basic realm="api"'}) | {'Basic realm="api", charset="UTF-8"'}
        self.challenge = ", ".join(sorted(asked)).encode()
        self.challenge_again = self.challenge.replace(
            b'Bearer realm="api"', b'Bearer realm="api", error="invalid_token"'
        )
        """After a credential that was refused (RFC 6750, section 3.1): the same for every reason."""
        authorizes = bool(self._schemes) or basic is not None
        self._wanted = f"an API key in {section.api_keys.header}{', or a credential in Authorization' * authorizes}"
        self.credential_headers = {self._header.encode()} | ({b"authorization"} if authorizes else set())
        """What must not travel on to the API."""

    def needs_identity(self, operation: Operation | None) -> bool:
        """Whether an operation needs a principal; an unknown operation does unless the policy makes it public."""
        if operation is None or operation.security is None:
            return operation is None or operation.id not in self._public
        optional = not operation.security or any(not alternative for alternative in operation.security)
        return not optional and operation.id not in self._public

    @classmethod
    def build(cls, parts: Parts) -> IdentityControl:
        """The control of a policy."""
        section, loaded = parts.sections[cls.section], parts.loaded
        assert isinstance(section, Identity)
        own = own_issuer(loaded.policy)
        return cls(section, loaded.plans, parts.ring, parts.state, loaded.policy.accounts, parts.now, own)

    def admit(self, evaluation: Evaluation) -> Judgement | None:
        """The principal; why there is none; or what to find out first."""
        operation = evaluation.operation
        if evaluation.own and operation is not None and not operation.security:
            return None  # who need not be known is judged there
        answer = self.identify(evaluation.head, operation, evaluation.now, evaluation.done)
        return None if answer is None else _judgement(answer)

    def identify(
        self, head: RequestHead, operation: Operation | None, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Proven | Finding | Refused | OwnWork | Asking | None:
        """The principal; a finding; what to find out first; or None for a caller who need not say who it is."""
        sent = head.fields.get(self._header)
        if self._passwords is not None and (pair := self._name_and_password(head)) is not None:
            if sent is not None:
                return Finding("identity.ambiguous", "Two different credentials were sent.", 400, owasp="API2")
            return self._passwords.admit(*pair, head, now, done)
        if (self._schemes or self._passwords is not None) and "authorization" in head.fields:
            authorization = parse_authorization(head.fields["authorization"])
            if authorization is None or authorization[0] not in self._schemes:
                return invalid("authorization is malformed or of a scheme that is not accepted")
            if sent is not None and sent != authorization[1]:
                return Finding("identity.ambiguous", "Two different credentials were sent.", 400, owasp="API2")
            sent = authorization[1]
            if authorization[0] == "bearer" and self._tokens is not None and not self._is_key(sent):
                return self._tokens.admit(sent, head.client_network, now, done)
        if sent is not None:
            return self._keys.admit(sent, now, done)
        if not self.needs_identity(operation):
            return None
        return missing(self._wanted)

    def prove_key(self, text: str, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | OwnWork:
        """Whom a key stands for, wherever it was sent."""
        return self._keys.admit(text, now, done)

    def prove_token(self, text: str, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | Refused | OwnWork:
        """Whom a token stands for, wherever it was sent."""
        return self._tokens.admit(text, "auth", now, done) if self._tokens is not None else invalid("no tokens here")

    def prove_account(self, account: Account) -> Principal | Finding:
        """Principal of an account that a code has proven, or the finding that refuses it."""
        return self._accounts.principal_of(account)

    def _is_key(self, sent: str) -> bool:
        return self._bearer_keys and parse_api_key(sent) is not None

    def _holder(self, claims: Claims, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | OwnWork:
        """Whom a token of our own endpoint stands for: the key or account it was given for, while that is alive."""
        client = claims.get("client_id")
        if type(client) is not str:
            return invalid("holder")
        if client.startswith(ACCOUNT):
            return self._accounts.holder(client.removeprefix(ACCOUNT), now, done)
        record = self._keys.record(client, now, done)
        return self._keys.principal_of(record, now) if isinstance(record, Credential) else record

    def _name_and_password(self, head: RequestHead) -> tuple[str, str] | None:
        """Of an account; None for another scheme, and for a key in the place of either where keys may stand there."""
        pair = parse_basic(head.fields.get("authorization", ""))
        if pair is None or ("basic" in self._schemes and (seems_api_key(pair[0]) or seems_api_key(pair[1]))):
            return None
        return pair


def own_issuer(policy: Policy) -> OwnIssuer | None:
    """The token endpoint of `/auth` as an issuer, where the policy has one."""
    section = policy.auth
    if section is None:
        return None
    return OwnIssuer(section.issuer, (section.audience or section.issuer,), section.tokens.access)


def _judgement(answer: Principal | Proven | Finding | Refused | OwnWork | Asking) -> Judgement:
    if isinstance(answer, Principal):
        return Judgement(principal=answer)
    if isinstance(answer, Finding):
        return Judgement((answer,), headers=retry_after(UNAVAILABLE_S) if answer.status == 503 else ())
    if isinstance(answer, Proven):
        return Judgement(principal=answer.principal, charges=answer.charges)
    if isinstance(answer, Refused):
        return Judgement((answer.finding,), answer.charges, headers=answer.headers)
    if isinstance(answer, Asking):
        return Judgement(work=(answer.work,), reserved=answer.reserved)
    return Judgement(work=(answer,))
