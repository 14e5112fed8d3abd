"""One corpus of requests, as data: what every door must answer alike. Judges nothing; `test_doors` sends it.

`case(name, status, code, …)` is one request, or `times` of it in a row with the answer of the last one. An empty code
means that the answer is no problem document. `server` says, with its reason, that the gateway's HTTP server answers
(with a status of its own) or drops the connection before the gate sees the request; `offline` that a recorded request
is different, and what it is then answered.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

KEY = "X-API-Key"
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "doors", "version": "1"},
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": KEY}}},
    "paths": {},
}


def _operation(path: str, method: str, name: str, scope: str | None, **more: Any) -> None:
    security: list[Any] = [] if scope is None else [{"key": [scope]}]
    OPENAPI["paths"].setdefault(path, {})[method] = {
        "operationId": name, "security": security, "responses": {"200": {"description": "ok"}}, **more,
    }  # fmt: skip


def _parameter(name: str, place: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, "required": place == "path", **more}


def _body(**media: Any) -> dict[str, Any]:
    names = {"json": "application/json", "form": "application/x-www-form-urlencoded",
             "multipart": "multipart/form-data", "binary": "application/octet-stream", "text": "text/plain"}  # fmt: skip
    return {"required": True, "content": {names[kind]: {"schema": schema} for kind, schema in media.items()}}


THING = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 40},
        "count": {"type": "integer", "minimum": 0, "maximum": 1000},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        "made": {"type": "string", "format": "date"},
        "inner": {"type": "object"},
        "id": {"type": "string", "readOnly": True},
    },
}
FORM = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
}
UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}, "note": {"type": "string", "maxLength": 10}},
}

_operation("/status", "get", "getStatus", None)
_operation(
    "/things", "get", "listThings", "things:read",
    parameters=[
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 100}),
        _parameter("q", "query", {"type": "string", "maxLength": 50}),
        _parameter("sort", "query", {"type": "string", "enum": ["asc", "desc"]}),
        _parameter("ids", "query", {"type": "array", "items": {"type": "integer"}, "maxItems": 3}, explode=False),
        _parameter("X-Trace", "header", {"type": "string", "pattern": "^[a-z]+$"}),
    ],
)  # fmt: skip
_operation("/things", "post", "createThing", "things:write", requestBody=_body(json=THING, form=FORM, binary={}))
_operation(
    "/things/{thingId}", "get", "getThing", "things:read",
    parameters=[_parameter("thingId", "path", {"type": "integer", "minimum": 1})],
)  # fmt: skip
_operation(
    "/things/{thingId}", "delete", "deleteThing", "things:admin",
    parameters=[_parameter("thingId", "path", {"type": "integer"})],
)  # fmt: skip
_operation(
    "/names/{name}", "get", "getName", "things:read", parameters=[_parameter("name", "path", {"type": "string"})]
)
_operation("/files", "post", "uploadFile", "things:write", requestBody=_body(multipart=UPLOAD))
_operation("/notes", "post", "sendNote", "things:write", requestBody=_body(text={"type": "string"}))
_operation("/costly", "get", "costly", "things:read")
_operation("/rare", "get", "rare", "things:read")
_operation("/closed", "get", "closed", "things:read")

POLICY = """
identity: {api_keys: {header: X-API-Key, bearer: true, basic: true}}
transport: {trusted_hops: [127.0.0.1]}
clients: {cors: {origins: ["https://app.example"], headers: [X-Trace]}}
plans:
  large: {rate: 100000/s burst 100000, quota: {hour: 1000000}, scopes: ["*"]}
  small: {rate: 100000/s burst 100000, quota: {hour: 1000000}, scopes: ["things:read"]}
  slow: {rate: 1/h burst 3, quota: {month: 1000}, scopes: ["*"]}
  monthly: {rate: 100000/s burst 100000, quota: {month: 4}, scopes: ["*"]}
limits: {address: 1/h burst 20, address_concurrent: 100}
network:
  allow: [203.0.114.7]
  deny: [203.0.114.0/24, "2001:db8:dead::/48"]
  countries: {deny: [AQ, BR]}
  asns: [AS1221]
  rules:
    - {methods: [POST], countries: {deny: [ZA]}}
    - {operations: [getThing], countries: {deny: [NL]}}
    - {accounts: [bound], only: [203.0.115.0/24]}
contract: {body: 4096, upload: 8192, json_depth: 8}
operations: {costly: {cost: 3}, rare: {rate: 1/h burst 2}, listThings: {records: /items}}
"""

KEYS = {"large": "large", "small": "small", "slow": "slow", "monthly": "monthly", "spare": "slow", "months": "monthly",
        "gone": "retired", "revoked": "large", "blocked": "large", "account": "large", "throttled": "large",
        "narrow": "large", "bound": "large", "challenged": "large"}  # fmt: skip
"""Each key with its plan; each has an account of its own name."""
RESTRICTED: list[tuple[dict[str, str], str, str]] = [
    ({"key": "blocked"}, "deny", ""),
    ({"account": "account"}, "deny", ""),
    ({"account": "throttled"}, "throttle", "1/h burst 2"),
    ({"operation": "closed"}, "deny", ""),
    ({"address": "203.0.113.9"}, "deny", ""),
    ({"prefix": "198.18.0.0/24"}, "deny", ""),
    ({"prefix": "2001:db8:bad::/48"}, "deny", ""),
    ({"prefix": "203.0.113.64/26"}, "throttle", "1/h burst 2"),
    ({"address": "203.0.113.10", "operation": "listThings"}, "deny", ""),
    ({"country": "KR"}, "terminate", ""),
    ({"account": "challenged"}, "challenge", ""),
    ({"asn": "15169", "operation": "listThings"}, "deny", ""),
]


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str
    target: bytes
    method: str
    key: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    chunked: bool
    hops: str | None
    host: str | None
    times: int
    server: tuple[int, ...]
    why: str
    offline: tuple[int, str] | None


CASES: list[Case] = []


def case(
    name: str,
    status: int,
    code: str = "",
    target: str | bytes = "/things",
    *,
    method: str = "GET",
    key: str | None = "large",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    media: str = "",
    chunked: bool = False,
    hops: str | None = "",
    host: str | None = "api.example",
    times: int = 1,
    server: tuple[int, ...] = (),
    why: str = "",
    offline: tuple[int, str] | None = None,
) -> None:
    """`hops` is `X-Forwarded-For`: an address of its own for each case when empty, no header when None."""
    raw = target if isinstance(target, bytes) else target.encode()
    if media:
        headers = (*headers, ("Content-Type", media))
    CASES.append(Case(name, status, code, raw, method, key, headers, body, chunked, hops, host, times, server, why,
                      offline))  # fmt: skip


def post(name: str, status: int, code: str = "", body: object = None, **more: Any) -> None:
    """A JSON POST. A `str` or `bytes` body is sent as it is."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    more.setdefault("media", "application/json")
    case(name, status, code, more.pop("target", "/things"), method=more.pop("method", "POST"), body=raw, **more)


# what passes ----------------------------------------------------------------------------------------------------------
case("public without a key", 200, "", "/status", key=None)
case("public with a key", 200, "", "/status")
case("list", 200)
case("list with parameters", 200, "", "/things?limit=5&sort=asc&q=hello+world")
case("list with encoded parameters", 200, "", "/things?q=%E2%82%AC%20%27")
case("list with an array", 200, "", "/things?ids=1,2,3")
case("list with a declared header", 200, headers=(("X-Trace", "abc"),))
case("one", 200, "", "/things/12")
case("a name with a space", 200, "", "/names/a%20b")
case("a name with dots in it", 200, "", "/names/a..b")
case("a name in another script", 200, "", "/names/%D0%B6")
case("read scope reads", 200, key="small")
case("narrowed key reads", 200, key="narrow")
case("bearer", 200, key=None, headers=(("Authorization", "Bearer {large}"),))
case("basic", 200, key=None, headers=(("Authorization", "Basic {large:basic}"),))
case("bearer and header alike", 200, headers=(("Authorization", "Bearer {large}"),))
case("delete", 200, "", "/things/3", method="DELETE")
case("the specification", 200, "", "/openapi.json", key=None)
case("the specification's head", 200, "", "/openapi.json", key=None, method="HEAD")
case("a preflight", 204, "", "/things", key=None, method="OPTIONS",
     headers=(("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")))  # fmt: skip
case("a preflight of a stranger", 204, "", "/things", key=None, method="OPTIONS",
     headers=(("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")))  # fmt: skip
case("accept lists twice", 200, headers=(("Accept", "text/html"), ("Accept", "application/json")))
case("two cookies", 200, headers=(("Cookie", "a=1"), ("Cookie", "b=2")))
case("traceparent", 200, headers=(("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),))
case("a broken traceparent is only not followed", 200, headers=(("Traceparent", "rubbish"),))
post("create", 200, "", {"name": "a"})
post(
    "create with everything", 200, "", {"name": "a", "count": 3, "tags": ["x"], "made": "2026-02-28", "inner": {"a": 1}}
)
post("create as utf-8", 200, "", '{"name": "é"}', media="application/json; charset=utf-8")
post("create with spaces", 200, "", ' {\n"name" : "a"\t} ')
post("create chunked", 200, "", {"name": "a"}, chunked=True)
post("create compressed", 200, "", gzip.compress(b'{"name": "a"}', mtime=0), headers=(("Content-Encoding", "gzip"),))
post("create at the largest", 200, "", '{"name": "a", "inner": {"x": "%s"}}' % ("y" * 3900))
post("create as a form", 200, "", "name=a&count=3", media="application/x-www-form-urlencoded")
post("create from bytes", 200, "", b"\x00\x01\xff", media="application/octet-stream")
post("text", 200, "", "hello", target="/notes", media="text/plain")
post("an empty text", 400, "contract.body_missing", "", target="/notes", media="text/plain")

# who ------------------------------------------------------------------------------------------------------------------
case("no key", 401, "identity.missing", key=None)
case("an empty key", 401, "identity.invalid", key="raw:")
case("no key for one", 401, "identity.missing", "/things/3", key=None)
case("no key, wrong value", 401, "identity.missing", "/things/abc", key=None)
case("rubbish for a key", 401, "identity.invalid", key="raw:letmein")
case("a key cut short", 401, "identity.invalid", key="cut:large")
case("a key with other check digits", 401, "identity.invalid", key="check:large")
case("a key with another secret", 401, "identity.invalid", key="secret:large")
case("a key nobody made", 401, "identity.invalid", key="raw:sg_0123456789abcdef_" + "A" * 49)
case("a key of ours that is not stored", 401, "identity.invalid", key="missing:")
case("a revoked key", 401, "identity.invalid", key="revoked")
case("a key of a plan no longer offered", 403, "identity.plan", key="gone")
case("a wrong key at a public operation", 401, "identity.invalid", "/status", key="raw:letmein")
case("a wrong key for a path that is not there", 404, "clients.path", "/nothing", key="raw:letmein")
case("a key in the query", 401, "identity.missing", "/things?api_key={large}", key=None)
case("two different credentials", 400, "identity.ambiguous", headers=(("Authorization", "Bearer {small}"),))
case("an unknown scheme", 401, "identity.invalid", key=None, headers=(("Authorization", "Digest x"),))
case("authorization without a scheme", 401, "identity.invalid", key=None, headers=(("Authorization", "{large}"),))
case("basic that is not base64", 401, "identity.invalid", key=None, headers=(("Authorization", "Basic @@@"),))
case("the key header twice", 400, "request.header_repeated", headers=((KEY, "{large}"),))
case("authorization twice", 400, "request.header_repeated", key=None,
     headers=(("Authorization", "Bearer {large}"), ("Authorization", "Bearer {large}")))  # fmt: skip
post("read scope writes", 403, "identity.scope", {"name": "a"}, key="small")
post("narrowed key writes", 403, "identity.scope", {"name": "a"}, key="narrow")
case("read scope deletes", 403, "identity.scope", "/things/3", method="DELETE", key="small")
case("a blocked key", 403, "restriction.deny", key="blocked")
case("a blocked key at a public operation", 403, "restriction.deny", "/status", key="blocked")
case("a blocked account", 403, "restriction.deny", key="account")
case("a throttled account", 429, "restriction.throttle", key="throttled", times=3)
case("a blocked operation", 403, "restriction.deny", "/closed")

# forged identity ------------------------------------------------------------------------------------------------------
case("forged account", 200, headers=(("X-Sallygate-Account", "admin"),))
case("forged assertion", 200, headers=(("X-Sallygate-Assertion", "a.b.c"),))
case("forged scopes do not help", 403, "identity.scope", "/things/3", method="DELETE", key="small",
     headers=(("X-Sallygate-Scopes", "things:admin"),))  # fmt: skip
case("forged account is no key", 401, "identity.missing", key=None, headers=(("X-Sallygate-Account", "admin"),))
case("forged request id", 200, headers=(("X-Request-Id", "1"),))

# where from -----------------------------------------------------------------------------------------------------------
case("a blocked address", 403, "restriction.deny", hops="203.0.113.9")
case("a blocked address without a key", 403, "restriction.deny", hops="203.0.113.9", key=None)
case("a blocked address and a bad path", 403, "restriction.deny", "/a/../b", hops="203.0.113.9")
case("a blocked prefix", 403, "restriction.deny", hops="198.18.0.77")
case("beside a blocked prefix", 200, hops="198.18.1.77")
case("a blocked prefix of IPv6", 403, "restriction.deny", hops="2001:db8:bad::7")
case("beside a blocked prefix of IPv6", 200, hops="2001:db8:bae::7")
case("a blocked address as IPv6", 403, "restriction.deny", hops="::ffff:203.0.113.9")
case("a blocked address behind what it wrote itself", 403, "restriction.deny", hops="8.8.8.8, 203.0.113.9")
case("a blocked address named by another", 200, hops="203.0.113.9, 198.51.100.200")
case("a blocked address with a port", 403, "restriction.deny", hops="203.0.113.9:4711")
case("a blocked address, one operation", 403, "restriction.deny", hops="203.0.113.10")
case("a blocked address, another operation", 200, "", "/things/3", hops="203.0.113.10")
case("a throttled prefix", 429, "restriction.throttle", hops="203.0.113.70", times=3)
case("a throttled prefix, another of it", 429, "restriction.throttle", hops="203.0.113.71")
case("a denied network", 403, "network.denied", hops="203.0.114.8")
case("a denied network without a key", 403, "network.denied", hops="203.0.114.8", key=None)
case("a denied network, at an origin of ours", 403, "network.denied", hops="203.0.114.8",
     headers=(("Origin", "https://app.example"),))  # fmt: skip
case("a denied network of IPv6", 403, "network.denied", hops="2001:db8:dead:1::1")
case("allowed in a denied network", 200, hops="203.0.114.7")
case("a denied country", 403, "network.country", hops="200.160.2.3")
case("a denied country and a bad path", 403, "network.country", "/a/../b", hops="200.160.2.3")
case("a denied provider", 403, "network.asn", hops="139.130.4.5")
case("a country denied to write, reading", 200, hops="196.216.2.6")
post("a country denied to write", 403, "network.country", {"name": "a"}, hops="196.216.2.6")
case("a country denied one operation", 403, "network.country", "/things/3", hops="193.0.6.139", key=None)
case("a country denied one operation, another", 200, hops="193.0.6.139")
case("a bound account from its network", 200, key="bound", hops="203.0.115.7")
case("a bound account from elsewhere", 403, "network.not_listed", key="bound", hops="203.0.116.7")
case("a closed country", 403, "restriction.terminate", hops="168.126.63.1")
case("a closed provider, one operation", 403, "restriction.deny", hops="8.8.8.8")
case("a closed provider, another operation", 200, "", "/things/3", hops="8.8.8.9")
case("a challenged account", 403, "challenge.required", key="challenged")
case("no forwarding header", 200, hops=None)
case("a forwarding header that is no address", 400, "request.forwarded", hops="unknown")
case("a forwarding header of letters", 400, "request.forwarded", hops="1.2.3")
case("forty hops", 400, "request.forwarded", hops=", ".join(["127.0.0.1"] * 40))
case("a hop that reports plain HTTP", 403, "transport.plain", "/status", key=None,
     headers=(("X-Forwarded-Proto", "http"),), offline=(200, ""),
     why="a recording has no connection whose scheme could be judged")  # fmt: skip
case("a hop that reports plain HTTP and a key", 403, "transport.credential_exposed",
     headers=(("X-Forwarded-Proto", "http"),), offline=(200, ""),
     why="a recording has no connection whose scheme could be judged")  # fmt: skip
case("a hop that reports HTTPS", 200, headers=(("X-Forwarded-Proto", "https"),))
case("two reports of the scheme", 400, "request.header_repeated",
     headers=(("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")))  # fmt: skip

# how much -------------------------------------------------------------------------------------------------------------
case("within the address's rate", 200, "", "/status", key=None, hops="198.51.100.201", times=20)
case("over the address's rate", 429, "limits.address", "/status", key=None, hops="198.51.100.202", times=21)
case("refusals count for the address", 429, "limits.address", "/nothing", key=None, hops="198.51.100.203", times=21)
case("bad heads count for the address", 429, "limits.address", "/a/../b", key=None, hops="198.51.100.204", times=21)
case("one /64 is one caller", 429, "limits.address", "/status", key=None, hops="2001:db8:1:2::1", times=21)
case("another of the /64", 429, "limits.address", "/status", key=None, hops="2001:db8:1:2::2")
case("beside the /64", 200, "", "/status", key=None, hops="2001:db8:1:3::1")
case("within the plan's rate", 200, key="slow", times=3)
case("over the plan's rate", 429, "limits.rate", key="slow")
case("over the rate at another operation", 429, "limits.rate", "/things/3", key="slow")
case("a public operation costs its caller too", 429, "limits.rate", "/status", key="slow")
case("within the month", 200, key="monthly", times=4)
case("over the month", 429, "limits.quota.month", key="monthly")
case("one costly call", 200, "", "/costly", key="spare")
case("a second costly call", 429, "limits.rate", "/costly", key="spare")
case("a costly call in the month", 200, "", "/costly", key="months")
case("a second one does not fit", 429, "limits.quota.month", "/costly", key="months")
case("a cheap one still does", 200, key="months")
case("an operation's own rate", 200, "", "/rare", times=2)
case("over the operation's own rate", 429, "limits.operation", "/rare")
case("of another account", 200, "", "/rare", key="small")

# what for -------------------------------------------------------------------------------------------------------------
case("a path that is not there", 404, "clients.path", "/nothing")
case("no key for a path that is not there", 404, "clients.path", "/nothing", key=None)
case("the root", 404, "clients.path", "/")
case("below a thing", 404, "clients.path", "/things/3/more")
case("with a slash at the end", 404, "clients.path", "/things/")
case("in capitals", 404, "clients.path", "/THINGS")
case("twice the slash", 404, "clients.path", "//things")
case("an admin page", 404, "clients.path", "/.env")
case("a wrong method", 405, "clients.method", method="DELETE")
case("a wrong method without a key", 405, "clients.method", method="PATCH", key=None)
case("options that are no preflight", 405, "clients.method", method="OPTIONS")
case("trace", 405, "clients.method", method="TRACE")
case("an invented method", 405, "clients.method", method="PROPFIND")
case("a method in small letters", 405, "clients.method", method="get")
case("post to the specification", 405, "clients.method", "/openapi.json", method="POST", key=None)
case("a method overridden", 200, headers=(("X-HTTP-Method-Override", "DELETE"),))
case("a method that is too long", 400, "request.method", method="A" * 25)
case("a websocket", 501, "clients.websocket",
     headers=(("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
              ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")))  # fmt: skip
case("a websocket without a key", 401, "identity.missing", key=None, headers=(("Upgrade", "websocket"),))

# the target -----------------------------------------------------------------------------------------------------------
for name, target in (
    ("dot segments", "/things/../status"), ("encoded dot segments", "/things/%2e%2e/status"),
    ("a dot segment", "/./status"), ("a dot segment with a parameter", "/things/..;a/status"),
    ("an encoded slash", "/names/a%2fb"), ("a doubly encoded slash", "/names/a%252fb"),
    ("an encoded backslash", "/names/a%5cb"), ("an encoded NUL", "/names/a%00"), ("an encoded line end", "/names/a%0a"),
    ("a broken percent sign", "/names/a%zz"), ("a cut percent sign", "/names/a%2"),
    ("an overlong slash", "/names/%c0%af"), ("half a character", "/names/%e2%82"), ("a surrogate", "/names/%ed%a0%80"),
):  # fmt: skip
    case(name, 400, "request.path", target)
case("a NUL in the query", 400, "request.query", "/things?q=%00")
case("a broken percent sign in the query", 400, "request.query", "/things?q=%")
case("overlong in the query", 400, "request.query", "/things?q=%c0%af")
case("300 pairs", 400, "request.query", "/things?" + "&".join(["q=1"] * 300))
case("a very long target", 414, "request.target_size", "/names/" + "a" * 20_000)
case("a backslash", 400, "request.path", b"/names/a\\b")
case("a byte above ASCII", 400, "request.path", b"/names/\xff", server=(400,), why="the server knows no such target")
case("an empty query", 200, "", "/things?")
case("a lone ampersand", 200, "", "/things?&")

# headers --------------------------------------------------------------------------------------------------------------
case("no host", 400, "request.host", host=None, offline=(200, ""),
     why="a recording without Host is given one")  # fmt: skip
case("a host that is none", 400, "request.host", host="a b")
case("a host with a path", 400, "request.host", host="api.example/x")
case("a host with a user", 400, "request.host", host="a@b")
case("two hosts", 400, "request.header_repeated", headers=(("Host", "other.example"),))
case("two content types", 400, "request.header_repeated", method="POST", body=b"{}",
     headers=(("Content-Type", "application/json"), ("Content-Type", "text/plain")))  # fmt: skip
case("two referers", 400, "request.header_repeated", headers=(("Referer", "a"), ("Referer", "b")))
case("101 headers", 431, "request.headers", headers=tuple((f"X-H{n}", "1") for n in range(101)),
     server=(431,), why="the server reads 100 fields at most")  # fmt: skip
case("33 KiB of headers", 431, "request.headers", headers=tuple((f"X-H{n}", "v" * 1000) for n in range(33)))
case("a name that CGI reads as the key", 400, "request.header_underscore", headers=(("X_API_Key", "k"),))
case("connection that takes the key away", 400, "request.connection", headers=(("Connection", "X-API-Key"),))
case("a declared header of another form", 400, "contract.parameter", headers=(("X-Trace", "ABC"),))
case("an expectation", 200, headers=(("Expect", "100-continue"),))

# parameters -----------------------------------------------------------------------------------------------------------
case("a limit that is no number", 400, "contract.parameter", "/things?limit=abc")
case("a limit too low", 400, "contract.parameter", "/things?limit=0")
case("a limit too high", 400, "contract.parameter", "/things?limit=101")
case("an empty limit", 400, "contract.parameter", "/things?limit=")
case("a limit as a float", 400, "contract.parameter", "/things?limit=1.5")
case("a limit in another spelling", 400, "contract.parameter", "/things?limit=+5")
case("a limit twice", 400, "contract.parameter_repeated", "/things?limit=1&limit=2")
case("a sort that is none", 400, "contract.parameter", "/things?sort=up")
case("a long q", 400, "contract.parameter", "/things?q=" + "a" * 51)
case("too many ids", 400, "contract.parameter", "/things?ids=1,2,3,4")
case("an id that is none", 400, "contract.parameter", "/things?ids=1,x")
case("an unknown parameter", 400, "contract.query_unknown", "/things?admin=true")
case("an unknown parameter in brackets", 400, "contract.query_unknown", "/things?filter[a]=1")
case("a parameter in capitals", 400, "contract.query_unknown", "/things?LIMIT=1")
case("a query where none is declared", 400, "contract.query_unknown", "/status?x=1")
case("an id that is text", 400, "contract.parameter", "/things/abc")
case("an id below", 400, "contract.parameter", "/things/0")
case("an id of SQL", 400, "contract.parameter", "/things/1%20OR%201=1")

# bodies ---------------------------------------------------------------------------------------------------------------
post("no name", 422, "contract.body", {"count": 1})
post("an empty name", 422, "contract.body", {"name": ""})
post("a name of a number", 422, "contract.body", {"name": 3})
post("a long name", 422, "contract.body", {"name": "a" * 41})
post("a count of text", 422, "contract.body", {"name": "a", "count": "3"})
post("a count below", 422, "contract.body", {"name": "a", "count": -1})
post("a count of a half", 422, "contract.body", {"name": "a", "count": 0.5})
post("an unknown field", 422, "contract.body", {"name": "a", "admin": True})
post("a field only read", 422, "contract.body", {"name": "a", "id": "x"})
post("too many tags", 422, "contract.body", {"name": "a", "tags": ["a", "b", "c", "d"]})
post("a date that is none", 422, "contract.body", {"name": "a", "made": "2026-02-30"})
post("an array", 422, "contract.body", [])
post("a null", 422, "contract.body", "null")
post("a field twice", 400, "body.json", '{"name": "a", "name": "b"}')
post("a field twice in escapes", 400, "body.json", r'{"name": "a", "n\u0061me": "b"}')
post("a cut body", 400, "body.json", '{"name": "a"')
post("more after it", 400, "body.json", '{"name": "a"} {}')
post("not a number", 400, "body.json", '{"name": "a", "count": NaN}')
post("a comment", 400, "body.json", '{"name": "a" /* b */}')
post("a comma too many", 400, "body.json", '{"name": "a",}')
post("single quotes", 400, "body.json", "{'name': 'a'}")
post("bytes that are not UTF-8", 400, "body.json", b'{"name": "\xff"}')
post("a byte order mark", 400, "body.json", b'\xef\xbb\xbf{"name": "a"}')
post("UTF-16", 400, "body.json", '{"name": "a"}'.encode("utf-16"))
post("half a surrogate pair", 400, "body.json", r'{"name": "\ud800"}')
post("nine deep", 400, "body.json", '{"name": "a", "inner": ' + '{"a":' * 9 + "1" + "}" * 10)
post("only spaces", 400, "body.json", "  ")
post("another charset", 415, "body.charset", {"name": "a"}, media="application/json; charset=utf-16")
post("a media type not declared", 415, "contract.content_type", "<a/>", media="application/xml")
post("a media type that is none", 415, "contract.content_type", {"name": "a"}, media="json")
post("no media type", 415, "contract.content_type", {"name": "a"}, media="")
post("over the size", 413, "contract.body_size", '{"name": "a", "inner": {"x": "%s"}}' % ("y" * 4096))
post("over the size, chunked", 413, "contract.body_size", '{"name": "a", "inner": {"x": "%s"}}' % ("y" * 4096),
     chunked=True)  # fmt: skip
post("compressed rubbish", 400, "body.coding", {"name": "a"}, headers=(("Content-Encoding", "gzip"),))
post("compressed too well", 413, "body.coding", gzip.compress(b" " * 100_000, mtime=0),
     headers=(("Content-Encoding", "gzip"),))  # fmt: skip
post("another coding", 415, "body.coding", {"name": "a"}, headers=(("Content-Encoding", "compress"),))
post("no body", 400, "contract.body_missing", "")
post("a body where none belongs", 415, "contract.body_unexpected", {"a": 1}, method="GET")
post("without a key, a bad body", 401, "identity.missing", "{", key=None)
post("a form with a wrong count", 422, "contract.body", "name=a&count=x", media="application/x-www-form-urlencoded")
post("a form without a name", 422, "contract.body", "count=1", media="application/x-www-form-urlencoded")
post("a form with a field twice", 422, "contract.body", "name=a&name=b", media="application/x-www-form-urlencoded")
MULTIPART = (
    '--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
)
NOTE = '--B\r\nContent-Disposition: form-data; name="note"\r\n\r\n%s\r\n'
upload: dict[str, Any] = {"target": "/files", "media": "multipart/form-data; boundary=B"}
post("an upload", 200, "", MULTIPART + NOTE % "hi" + "--B--\r\n", **upload)
post("an upload without its file", 422, "contract.body", NOTE % "hi" + "--B--\r\n", **upload)
post("an upload with a long note", 422, "contract.body", MULTIPART + NOTE % ("hi" * 9) + "--B--\r\n", **upload)
post("an upload cut short", 400, "body.multipart", MULTIPART, **upload)
post("an upload without a boundary", 400, "body.multipart", MULTIPART + "--B--\r\n",
     target="/files", media="multipart/form-data")  # fmt: skip
post("an upload too large", 413, "contract.body_size", "x" * 8200, **upload)
post("text that is not UTF-8", 400, "body.text", b"\xff\xfe", target="/notes", media="text/plain")
