"""Validation of token claims: issuer, audience, time (RFC 7519, 8725, 9068), and their mapping to a principal.

Pure functions over claims whose signature is looked at elsewhere. A failure is a word for the operator.
"""

from __future__ import annotations

from collections.abc import Mapping

from sallygate.controls.identity.failure import invalid, plan_gone
from sallygate.controls.identity.scopes import ALL_SCOPES, granted
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.jose.jws import Jws
from sallygate.parsing.pointers import unescape_pointer
from sallygate.policy.identity import ABSENT, Issuer

Claims = Mapping[str, object]
TIME_MAX = 253402300800.0
"""The year 10000. A later time is a mistake, or tries what a number too large does."""
NAME_CHARS_MAX = 255
"""Of `sub` (OpenID Connect Core, section 2) and of an account."""
SCOPES_MAX = 200
"""Tokens of 8 KiB carry no more."""
_OF_OTHER_TOKENS = ("at_hash", "c_hash", "s_hash", "events")
"""What access tokens do not claim: an ID token's, a logout token's (OpenID Connect), a security event's (RFC 8417)."""
_OTHER_KINDS = frozenset(("id", "refresh", "logout", "offline"))
"""What Keycloak (`typ`) and Cognito (`token_use`) call what is no access token."""


class Terms:
    """What the tokens of one issuer must be, compiled from the policy's section."""

    def __init__(self, section: Issuer) -> None:
        self.issuer = section.issuer
        self.name = section.called
        self.algorithms = frozenset[str](section.algorithms)
        self._types = frozenset("" if name == ABSENT else name for name in section.types)
        self._audiences = frozenset(section.audience)
        self._audience_claim, self._takes_bound = section.audience_claim, section.bound == "accept"
        self.leeway_s = section.leeway
        self._lifetime_s = section.lifetime
        self._plan = section.plan
        self._plans = section.plans
        self._prefix = section.prefix or ""
        self._account_at = section.claims.account
        self._plan_at = section.claims.plan
        self._scopes_at = section.claims.scopes

    def fault(self, token: Jws, claims: Claims, now: float) -> str:
        """Why the token does not count, its signature apart; empty when it does."""
        if token.algorithm not in self.algorithms:
            return "algorithm"
        if token.type not in self._types:
            return "type"
        if any(name in claims for name in _OF_OTHER_TOKENS) or _is_other_kind(claims):
            return "type: not an access token"
        if "cnf" in claims and not self._takes_bound:
            return "bound to a key, whose proof is not checked"
        audience = claims.get(self._audience_claim)
        audiences = audience if type(audience) is list else [audience]
        if not all(type(one) is str for one in audiences) or self._audiences.isdisjoint(audiences):
            return "audience"
        return self._time_fault(claims, now)

    def _time_fault(self, claims: Claims, now: float) -> str:
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name)
            if (value is None and (name == "exp" or name in claims)) or not (value is None or _is_time(value)):
                return f"no time in `{name}`"
        until, start, issued = time_of(claims, "exp"), time_of(claims, "nbf"), time_of(claims, "iat")
        if now >= until + self.leeway_s:
            return "expired"
        if now < max(start, issued) - self.leeway_s:
            return "not valid yet"
        if until - now > self._lifetime_s + self.leeway_s:
            return "valid for too long"
        return ""

    def principal(self, claims: Claims, plan_scopes: Mapping[str, frozenset[str]]) -> Principal | Finding:
        """Whom the token stands for; its signature has been verified."""
        subject, account = claims.get("sub"), _at(claims, self._account_at)
        if not _is_name(subject) or not _is_name(account):
            return invalid("claims: no `sub`, or no account", self.name)
        plan = self._plan_of(claims)
        offered = plan_scopes.get(plan)
        if offered is None:
            return plan_gone(f"plan {plan[:64]!r} of {self.name} {subject}")
        named = scopes_at(claims, self._scopes_at) if self._scopes_at is not None else None
        return Principal(
            f"jwt:{self.name}:{subject}",
            f"{self._prefix}{account}",
            plan,
            # All there is (`*`) is the policy's to give, never an issuer's.
            granted(offered, named if named is None else [one for one in named if one != ALL_SCOPES]),
            "jwt",
            time_of(claims, "exp"),
        )

    def _plan_of(self, claims: Claims) -> str:
        value = _at(claims, self._plan_at) if self._plan_at is not None else None
        if value is None:
            return self._plan or ""
        said = value if type(value) is list else [value]
        if self._plans:
            return next((plan for name, plan in self._plans.items() if name in said), self._plan or "")
        return value if type(value) is str else ""


def time_of(claims: Claims, name: str) -> float:
    """A time that has been looked at before; 0 when absent."""
    value = claims.get(name, 0.0)
    assert isinstance(value, int | float)
    return float(value)


def scopes_at(claims: Claims, pointer: str) -> tuple[str, ...]:
    """A text with spaces (RFC 8693, section 4.2) or a list of texts; nothing else is a scope."""
    value = _at(claims, pointer)
    if type(value) is str:
        value = value.split(" ")
    if type(value) is not list or len(value) > SCOPES_MAX:
        return ()
    return tuple(one for one in value if type(one) is str and one)


def _at(claims: Claims, pointer: str) -> object:
    """A claim by name, or by JSON pointer."""
    if pointer[:1] != "/":
        return claims.get(pointer)
    value: object = claims
    for name in pointer[1:].split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(unescape_pointer(name))
    return value


def _is_time(value: object) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value < TIME_MAX


def _is_name(value: object) -> bool:
    """Printable ASCII without spaces, so that it stands in a header and a log as it is."""
    if type(value) is not str or not 0 < len(value) <= NAME_CHARS_MAX:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def _is_other_kind(claims: Claims) -> bool:
    return any(str(claims.get(name, "")).lower() in _OTHER_KINDS for name in ("typ", "token_use"))
