"""Control of clients: refuses paths and methods that the contract lacks, and gives unknown clients the specification
only.

Threat: probing for forgotten paths, methods and versions (OWASP API9). Evidence: `clients.path` (404),
`clients.method` (405 with `Allow`). Known bypasses: whatever the contract itself describes
too widely. Cost: one route look-up, done by the engine; the answers are made at load time.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec.json import encode

from sallygate.model.control import Phase
from sallygate.model.decision import HeaderList, Reply
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Match, Operation
from sallygate.model.request import RequestHead
from sallygate.parsing.openapi.document import public_view
from sallygate.parsing.openapi.servers import base_paths
from sallygate.policy.identity import Identity
from sallygate.policy.load import Loaded
from sallygate.policy.schema import Clients, Cors
from sallygate.state.parts import Parts

VARY_ORIGIN = (b"vary", b"Origin")
_NOT_THE_APIS = Judgement(
    drop_headers=frozenset(
        b"access-control-" + name
        for name in (b"allow-credentials", b"allow-headers", b"allow-methods", b"allow-origin",
                     b"allow-private-network", b"expose-headers", b"max-age")
    )
)  # fmt: skip
"""Fields of CORS (Fetch standard, section 3.3.3)."""


class ClientsControl:
    """Client filtering."""

    name: ClassVar = "clients"
    section: ClassVar = "clients"

    def __init__(
        self,
        section: Clients,
        public_view: dict[str, object] | None,
        credential_fields: tuple[str, ...],
        etag: str,
        denied: frozenset[str] = frozenset(),
    ) -> None:
        """`credential_fields` are the header fields that browsers of other origins may send credentials in."""
        self._cors = section.cors
        self._credential_fields = credential_fields
        self._denied = denied
        self.specification = section.specification if public_view is not None else None
        body = encode(public_view) if public_view is not None else b""
        common = ((b"content-type", b"application/json"), (b"etag", f'"{etag}"'.encode()),
                  (b"cache-control", b"no-cache"))  # fmt: skip
        self._specification = Reply(200, (*common, (b"content-length", str(len(body)).encode())), body)
        self._unchanged = Reply(304, common[1:], b"")
        self._path = self.specification.encode() if self.specification else None
        self.link: HeaderList = ()
        if self.specification:
            self.link = ((b"link", f'<{self.specification}>; rel="service-desc"'.encode()),)

    @classmethod
    def build(cls, parts: Parts) -> ClientsControl:
        """The control of a policy."""
        section, loaded = parts.sections[cls.section], parts.loaded
        assert isinstance(section, Clients)
        denied = denied_operations(loaded)
        return cls(section, _public(loaded, denied, section.shows), _credential_fields(parts), loaded.hash, denied)

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """To all requests: what leads to no operation is what it is for. To responses where it says who reads them."""
        return phase != "release" or self._cors is not None

    def release(self, evaluation: Evaluation) -> Judgement:
        """What the API itself says of other origins does not count: the policy says it."""
        return _NOT_THE_APIS

    def admit(self, evaluation: Evaluation) -> Judgement | None:
        """The gate's own answers, and refusals of what is not in the contract."""
        head, match = evaluation.head, evaluation.match
        if not evaluation.routed and not evaluation.own:
            return None
        if (reply := self.reply(head, match)) is not None:
            return Judgement(reply=reply)
        finding, headers = (None, ()) if evaluation.own else self.judge(head, match)
        return Judgement((finding,), headers=headers) if finding is not None else None

    @property
    def answers_origins(self) -> bool:
        """Whether answers differ by who asks: browsers of other origins."""
        return self._cors is not None

    def reply(self, head: RequestHead, match: Match | None) -> Reply | None:
        """What the gate answers by itself: the specification, and preflights."""
        if match is None and head.raw_path == self._path and head.method in ("GET", "HEAD"):
            if _names(head.fields.get("if-none-match", ""), self._unchanged.headers[0][1].decode()):
                return self._unchanged
            return self._specification
        if (
            self._cors is not None
            and head.method == "OPTIONS"
            and match is not None
            and match.operation is None
            and "origin" in head.fields
            and "access-control-request-method" in head.fields
        ):
            return Reply(204, self._preflight(self._cors, head, match), b"")
        return None

    def judge(self, head: RequestHead, match: Match | None) -> tuple[Finding | None, HeaderList]:
        """The finding, and the headers its answer needs."""
        if match is None:
            if head.raw_path == self._path:
                return _method(), ((b"allow", b"GET, HEAD"),)
            return Finding("clients.path", "The API has no such path.", 404, owasp="API9", attack="T1595"), ()
        if match.operation is None:
            return wrong_method(match)
        if match.operation.id in self._denied:
            detail = "The API has no such path."
            return Finding("clients.denied", detail, 404, rule=match.operation.id, owasp="API9"), ()
        return None, ()

    def cors_headers(self, head: RequestHead) -> HeaderList:
        """For any answer to a browser of an allowed origin."""
        return self.headers_for(head.fields.get("origin"))

    def headers_for(self, origin: str | None) -> HeaderList:
        """The same for what `Origin` says."""
        if self._cors is None:
            return ()
        if origin is None or not _allowed(self._cors, origin):
            return (VARY_ORIGIN,)
        allowed = "*" if "*" in self._cors.origins else origin
        headers: list[tuple[bytes, bytes]] = [
            (b"access-control-allow-origin", allowed.encode("latin-1")),
            VARY_ORIGIN,
        ]
        if self._cors.credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        if self._cors.expose:
            headers.append((b"access-control-expose-headers", ", ".join(self._cors.expose).encode()))
        return tuple(headers)

    def _preflight(self, cors: Cors, head: RequestHead, match: Match) -> HeaderList:
        if not _allowed(cors, head.fields["origin"]):
            return (VARY_ORIGIN,)
        names = ", ".join(dict.fromkeys(["Content-Type", *self._credential_fields, *cors.headers]))
        return (
            (b"access-control-allow-methods", ", ".join(match.allow).encode()),
            (b"access-control-allow-headers", names.encode()),
            (b"access-control-max-age", str(int(cors.max_age)).encode()),
        )


def denied_operations(loaded: Loaded) -> frozenset[str]:
    """The ids of those that nobody may call."""
    return frozenset(name for name, one in loaded.policy.operations.items() if one.deny)


def base_paths_of(loaded: Loaded) -> tuple[str, ...]:
    """Where the API's paths begin: as the policy says, or each of the document's servers."""
    own = loaded.policy.contract.base_path
    return (base_paths((loaded.document or {}).get("servers")) or ("",)) if own is None else (own.rstrip("/"),)


def _names(field: str, tag: str) -> bool:
    """Whether `If-None-Match` names this entity tag, by weak comparison (RFC 9110, section 13.1.2)."""
    return field.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in field.split(",")]


def _public(loaded: Loaded, denied: frozenset[str], shows: str) -> dict[str, object] | None:
    """What unknown clients may read: the document's own servers and security schemes are replaced by the gate's."""
    if loaded.document is None:
        return None
    public = _open_operations(loaded)
    hidden = {
        (one.method.lower(), one.path)
        for one in loaded.operations
        if one.id in denied or (shows == "public" and one.id not in public)
    }
    view = public_view(loaded.document, hidden)
    schemes = _schemes(loaded.policy.identity, tokens=loaded.policy.auth is not None)
    for operation in loaded.operations:
        described = view["paths"].get(operation.path, {}).get(operation.method.lower())
        if isinstance(described, dict):
            described.pop("security", None)
            if schemes and operation.id in public:
                described["security"] = []
    view.pop("security", None)
    components = {**view.get("components", {})}
    components.pop("securitySchemes", None)
    if schemes:
        view["security"] = [{name: []} for name in schemes]
        components["securitySchemes"] = schemes
    if components:
        view["components"] = components
    return {**view, "servers": [{"url": path or "/"} for path in base_paths_of(loaded)]}


def _open_operations(loaded: Loaded) -> frozenset[str]:
    """The ids of those that need no credential."""
    identity = loaded.policy.identity
    if identity is None or identity.mode == "off":
        return frozenset(one.id for one in loaded.operations)
    declared = (
        one.id for one in loaded.operations if one.security is not None and not (one.security and all(one.security))
    )
    return frozenset((*identity.public, *declared))


def _schemes(identity: Identity | None, *, tokens: bool) -> dict[str, object]:
    """The gate's own security schemes (OpenAPI 3.1.1, section 4.8.27)."""
    if identity is None or identity.mode == "off":
        return {}
    keys = identity.api_keys
    found: dict[str, object] = {"apiKey": {"type": "apiKey", "in": "header", "name": keys.header}}
    if keys.bearer or identity.jwt or tokens:
        found["bearer"] = {"type": "http", "scheme": "bearer"}
    if keys.basic or identity.basic is not None:
        found["basic"] = {"type": "http", "scheme": "basic"}
    return found


def _credential_fields(parts: Parts) -> tuple[str, ...]:
    policy = parts.loaded.policy
    identity = policy.identity
    tokens = policy.auth is not None or (identity is not None and bool(identity.jwt))
    basic = identity is not None and identity.basic is not None
    return (parts.key_header, "Authorization") if tokens or basic else (parts.key_header,)


def _allowed(cors: Cors, origin: str) -> bool:
    return "*" in cors.origins or origin in cors.origins


def wrong_method(match: Match) -> tuple[Finding, HeaderList]:
    """For a path that has other methods."""
    return _method(), ((b"allow", ", ".join(match.allow).encode()),)


def _method() -> Finding:
    return Finding("clients.method", "The path does not have this method.", 405, owasp="API9", attack="T1595")
