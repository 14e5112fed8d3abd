"""Verifier of signed tokens (JWT, RFC 7519) of the policy's issuers and of the own token endpoint.

Threat: forged, altered, expired and stolen tokens; another API's, another issuer's, another kind of token; algorithms
and keys chosen by the forger (RFC 8725). Evidence: `identity.invalid`, its `rule` with the check that failed;
`identity.forged` (429) where an address has sent too many that nobody signed.
Known bypasses: a stolen token is a good one until it expires or is revoked. Behind one address (a NAT) the forger and
the honest share the bound on new tokens. Those seen before go on counting, so that what the honest lose is their next
token, while it lasts.
Cost: 3 µs for a token seen before; a signature (30 to 400 µs) for a new one. What costs less is looked at before: whom
the token is from, for whom, and whether it has expired.

The issuer a token names picks the section that it is judged by, and nothing else: that section fixes the algorithms,
the keys and the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from sallygate.controls.identity.claims import Claims, Terms, scopes_at, time_of
from sallygate.controls.identity.failure import invalid, unavailable
from sallygate.controls.identity.outcomes import Refused, come_back
from sallygate.controls.identity.scopes import granted
from sallygate.controls.identity.signatures import is_signed_by
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.work import Charge, FetchKeys, KeysFetched, OwnWork, WorkDone
from sallygate.parsing.jose.jwk import VerifyingKey
from sallygate.parsing.jose.jws import Jws, JwsError, read_claims, read_jws
from sallygate.policy.identity import Issuer
from sallygate.state.bounded_table import Table
from sallygate.state.key_sets import KeySet
from sallygate.state.state import State

FORGED_TABLE = "identity:forged"
KEPT_MAX = 50_000
"""Verified tokens remembered: about 40 MB. Callers beyond it are verified once more, oldest first."""

Holder = Callable[[Claims, float, tuple[WorkDone, ...]], Principal | Finding | OwnWork]
"""Whom a token of our own stands for while what it was given for is alive: asked at every use."""


class OwnIssuer(Struct, frozen=True):
    """Our own token endpoint. Who signs for it puts its public keys into `state.issuers`, and what is revoked into
    `state.revocations`, under `jti` or `grant`."""

    issuer: str
    audience: tuple[str, ...]
    lifetime_s: float = 3600.0
    """The longest it gives."""


class _Kept(Struct, frozen=True):
    """A token that has been verified, and by which keys."""

    terms: Terms
    claims: Claims
    ids: tuple[str, ...]
    issued_at: float
    start: float
    until: float
    keys: KeySet
    principal: Principal
    holder: Principal | None = None
    """Of a token of our own: the one `principal` was made of."""


class Tokens:
    """Verifier of signed tokens, with a cache of verified ones and a limit on forged ones."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        plan_scopes: Mapping[str, frozenset[str]],
        forged: Table,
        state: State,
        own: OwnIssuer | None = None,
        holder: Holder | None = None,
    ) -> None:
        self._state = state
        self._plan_scopes = plan_scopes
        self._forged = forged
        self._terms = {section.issuer: Terms(section) for section in issuers}
        self._own = own.issuer if own is not None else None
        self._holder = holder
        if own is not None:
            self._terms[own.issuer] = Terms(_own_section(own))
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def admit(
        self, text: str, address: str, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Finding | Refused | OwnWork:
        """`address` is what forgeries are counted by."""
        digest = sha256(text.encode("utf-8", "replace")).digest()
        kept = self._kept.get(digest)
        if kept is not None and self._still_counts(kept, now):
            return self._again(digest, kept, now, done)
        room = self._forged.look(address, now)
        if not room.allowed:
            detail = "This address has sent too many tokens that are not valid."
            found = Finding("identity.forged", detail, 429, "throttle",
                            rule=FORGED_TABLE, owasp="API2", attack="T1110")  # fmt: skip
            return come_back(found, room.reset_s)
        try:
            token = read_jws(text)
            claims = read_claims(token.payload)
        except JwsError as error:
            return invalid(f"malformed: {error}")
        issuer = claims.get("iss")
        terms = self._terms.get(issuer) if type(issuer) is str else None
        if terms is None:
            return invalid("issuer")
        if fault := terms.fault(token, claims, now):
            return invalid(fault, terms.name)
        key = self._key(terms, token, now, done)
        if not isinstance(key, VerifyingKey):
            # Only where its issuer was asked for it: after a rotation the honest send such tokens, too.
            fetched = any(isinstance(one, KeysFetched) for one in done)
            return self._charged(key, address) if fetched and isinstance(key, Finding) and key.status == 401 else key
        if not is_signed_by(key, token):
            asked = any(isinstance(one, KeysFetched) and one.issuer == terms.issuer for one in done)
            if not asked and self._state.issuers.may_have_changed(terms.issuer, now):
                return FetchKeys(terms.issuer, token.kid)  # there may be a new key under an old name
            return self._charged(invalid("signature", terms.name), address)
        return self._verified(digest, terms, claims, now, done)

    def _still_counts(self, kept: _Kept, now: float) -> bool:
        return kept.start <= now < kept.until and (
            kept.keys is self._state.issuers.get(kept.terms.issuer) and now < kept.keys.good_until
        )

    def _charged(self, finding: Finding, address: str) -> Refused:
        return Refused(finding, (Charge(FORGED_TABLE, address, 1),))

    def _key(
        self, terms: Terms, token: Jws, now: float, done: tuple[WorkDone, ...]
    ) -> VerifyingKey | Finding | FetchKeys:
        """The key the token names: known, or to be asked for."""
        issuers = self._state.issuers
        keys = issuers.get(terms.issuer)
        if keys is not None and now >= keys.good_until:
            keys = None
        key = keys.find(token.kid, token.algorithm) if keys is not None else None
        if key is not None:
            return key
        answer = next((one for one in done if isinstance(one, KeysFetched) and one.issuer == terms.issuer), None)
        if terms.issuer == self._own:
            return invalid("key", terms.name) if keys is not None else unavailable("Tokens of this issuer")
        if answer is None and issuers.is_worth_asking(terms.issuer, token.kid, now):
            return FetchKeys(terms.issuer, token.kid)
        if keys is None or (answer is not None and answer.failed) or issuers.is_failing(terms.issuer):
            return unavailable("Tokens of this issuer")
        return invalid("key", terms.name)

    def _verified(
        self, digest: bytes, terms: Terms, claims: Claims, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Finding | OwnWork:
        keys = self._state.issuers.get(terms.issuer)
        assert keys is not None
        holder: Principal | None = None
        if terms.issuer == self._own:
            found = self._held(claims, now, done)
            if not isinstance(found, Principal):
                return found
            holder, principal = found, _limited(found, claims)
        else:
            made = terms.principal(claims, self._plan_scopes)
            if isinstance(made, Finding):
                return made
            if self._state.accounts.is_locked(made.account):
                return invalid("locked", made.id)
            principal = made
        issued_at = time_of(claims, "iat")
        kept = _Kept(
            terms,
            claims,
            tuple(value for name in ("jti", "grant") if type(value := claims.get(name)) is str),
            issued_at,
            max(time_of(claims, "nbf"), issued_at) - terms.leeway_s,
            time_of(claims, "exp") + terms.leeway_s,
            keys,
            principal,
            holder,
        )
        if self._is_revoked(kept, now):
            return invalid("revoked", principal.id)
        self._keep(digest, kept)
        return principal

    def _again(
        self, digest: bytes, kept: _Kept, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Finding | OwnWork:
        """A token seen before: what may have changed since is looked at every time."""
        if self._is_revoked(kept, now):
            return invalid("revoked", kept.principal.id)
        if kept.holder is None:
            if self._state.accounts.is_locked(kept.principal.account):
                return invalid("locked", kept.principal.id)
            return kept.principal
        found = self._held(kept.claims, now, done)
        if not isinstance(found, Principal):
            return found
        if found is not kept.holder:
            kept = replace(kept, holder=found, principal=_limited(found, kept.claims))
            self._keep(digest, kept)
        return kept.principal

    def _held(self, claims: Claims, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | OwnWork:
        return self._holder(claims, now, done) if self._holder is not None else invalid("holder")

    def _is_revoked(self, kept: _Kept, now: float) -> bool:
        return self._state.revocations.covers(kept.terms.issuer, kept.ids, kept.issued_at, now)

    def _keep(self, digest: bytes, kept: _Kept) -> None:
        self._kept[digest] = kept
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


def _limited(holder: Principal, claims: Claims) -> Principal:
    """The holder with no more scopes than the token was given, and no longer than it lasts."""
    scopes = granted(holder.scopes, scopes_at(claims, "scope") if "scope" in claims else None)
    return replace(holder, scopes=scopes, credential="access_token", expires_at=time_of(claims, "exp"))


def _own_section(own: OwnIssuer) -> Issuer:
    """RFC 9068 to the letter; plans and scopes are the holder's."""
    return Issuer(
        issuer=own.issuer, name="own", jwks="own", audience=list(own.audience), algorithms=["ES256"], types=["at+jwt"],
        leeway=0.0, lifetime=own.lifetime_s, plan="own",
    )  # fmt: skip
