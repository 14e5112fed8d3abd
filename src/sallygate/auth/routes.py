"""Operations of `/auth`: their paths and methods, in the form of the API's own operations."""

from __future__ import annotations

from msgspec.structs import replace

from sallygate.model.operation import Operation
from sallygate.policy.auth import Auth

METADATA = "auth.metadata"
KEYS = "auth.keys"
CODES = "auth.codes"
TOKEN = "auth.token"  # noqa: S105  # a name
REVOKE = "auth.revoke"
INTROSPECT = "auth.introspect"
LOCATIONS = "auth.locations"

INTROSPECT_SCOPE = "auth:introspect"
"""What a key must have to ask about others' tokens (RFC 7662, section 4)."""


def auth_operations(section: Auth) -> tuple[Operation, ...]:
    """Those the policy has: none of codes where nothing delivers them."""
    prefix = section.prefix
    known: tuple[dict[str, tuple[str, ...]], ...] = ({"credential": ()},)
    named: tuple[dict[str, tuple[str, ...]], ...] = ({"credential": (INTROSPECT_SCOPE,)},)
    found = [
        _operation(METADATA, "GET", section.metadata_path, ()),
        _operation(KEYS, "GET", f"{prefix}/jwks.json", ()),
        _operation(TOKEN, "POST", f"{prefix}/token", ()),
        _operation(REVOKE, "POST", f"{prefix}/revoke", ()),
        _operation(INTROSPECT, "POST", f"{prefix}/introspect", named),
    ]
    if section.delivery is not None:
        found.append(_operation(CODES, "POST", f"{prefix}/codes", ()))
        found.append(replace(_operation(LOCATIONS, "POST", f"{prefix}/locations", known), admits_locations=True))
    return tuple(found)


def _operation(name: str, method: str, path: str, security: tuple[dict[str, tuple[str, ...]], ...]) -> Operation:
    return Operation(
        id=name, method=method, path=path, security=security, parameters=(), body=(), body_required=False,
        internal=False, resource="auth", object_names={},
    )  # fmt: skip
