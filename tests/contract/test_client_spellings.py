"""Spellings that RFC 9110 allows and common clients send by default: none is refused, with a contract and without.

Each case names the client, or the section that allows it. The gate here has every control in mode `enforce`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import gatehouse
from gatehouse import House, Request
from sallygate.policy.load import load_policy
from support import write_policy

TEXT = {"type": "string"}
THING = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "file": {"type": "string", "format": "binary"},
        "tags": {"type": "array", "items": TEXT},
    },
}
CONTRACT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "spellings", "version": "1"},
    "paths": {
        "/things": {
            "get": {"operationId": "list", "responses": {"200": {"description": "ok"}}},
            "delete": {"operationId": "clear", "responses": {"204": {"description": "ok"}}},
            "post": {
                "operationId": "create",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": THING},
                        "application/vnd.api+json": {"schema": THING},
                        "application/merge-patch+json": {"schema": THING},
                        "application/problem+json": {"schema": THING},
                        "application/x-www-form-urlencoded": {"schema": THING},
                        "multipart/form-data": {"schema": THING},
                        "text/plain": {"schema": TEXT},
                        "application/xml": {},
                        "text/xml": {},
                        "application/octet-stream": {},
                        "application/x-ndjson": {},
                        "image/png": {},
                    }
                },
                "responses": {"200": {"description": "ok"}},
            },
        }
    },
}

COMMON = "identity: none\nplans: {}\noperations: {}\n"
HEADERS = [
    # curl, Python, Node
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "*"),
    ("user-agent", "python-requests/2.32.3"),
    ("user-agent", "axios/1.7.9"),
    ("connection", "keep-alive"),
    ("sec-fetch-mode", "cors"),
    # curl --http2, java.net.http.HttpClient
    ("connection|upgrade|http2-settings", "Upgrade, HTTP2-Settings|h2c|AAMAAABkAAQCAAAAAAIAAAAA"),
    ("connection|upgrade|http2-settings", "Upgrade, HTTP2-Settings|h2c|AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ("connection|upgrade", "keep-alive, Upgrade|h2c"),
    ("connection|te", "TE, close|deflate,gzip;q=0.3"),
    ("connection|te", "TE|trailers"),
    ("connection|keep-alive", "Keep-Alive|timeout=600, max=1000"),
    ("proxy-connection", "Keep-Alive"),
    # HttpURLConnection
    ("accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"),
    ("user-agent", "Java/17.0.9"),
    # Spring, .NET, PowerShell, OkHttp, Go, Apache, JAX-RS
    ("accept", "application/json, application/*+json"),
    ("accept", "text/plain, application/json, application/*+json, */*"),
    ("accept", "application/json;odata.metadata=minimal;odata.streaming=true"),
    ("accept", 'application/json; odata=verbose; profile="https://example.org/p", text/html;level=1;q=0.4'),
    ("user-agent", "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.19041.4522"),
    ("user-agent", "okhttp/4.12.0"),
    ("user-agent", "Go-http-client/1.1"),
    ("user-agent", "Apache-HttpClient/4.5.14 (Java/17.0.9)"),
    ("request-id", "|7a1b2c3d4e5f.1."),
    ("correlation-context", "key1=value1, key2=value2"),
    (
        "traceparent|tracestate|baggage",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00|es=s:1,ot=th:0|user=a%20b;p=1",
    ),
    ("sentry-trace", "771a43a4192642f0b136d5159a501700-7c51afd529da4a2a-1"),
    # browsers
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept", "application/signed-exchange;v=b3;q=0.7, text/css,*/*;q=0.1"),
    ("sec-ch-ua", '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"'),
    ("sec-ch-ua-platform|sec-gpc|priority", '"Windows"|1|u=1, i'),
    ("origin|referer", "null|https://app.example/a?b=c&d=%20"),
    ("upgrade-insecure-requests|dnt", "1|1"),
    ("cache-control|pragma", 'no-cache, max-age=0, no-store, private="x"|no-cache'),
    # conditions and ranges
    ("if-none-match", 'W/"67ab43", "54ed21", W/"a,b", ""'),
    ("if-none-match", "*"),
    ("if-match", '"xyzzy", "r2d2xxxx", "c3piozzzz"'),
    ("if-match", '"0x8D9A1B2C3D4E5F6"'),
    ("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ("range|if-range", 'bytes=0-499, -500, 9500-|"67ab43"'),
    ("range", "items=0-24"),
    # preferences, hops, integrity
    ("prefer", "respond-async, wait=10, return=minimal, handling=lenient"),
    ("prefer", 'odata.include-annotations="*", odata.maxpagesize=50'),
    ("via", '1.0 fred, 1.1 p.example.net (Apache/1.1; "x")'),
    ("forwarded", 'for="[2001:db8::1]:4711";proto=http;by=203.0.113.43, for=unknown, for=_hidden'),
    ("max-forwards", "10"),
    ("content-language", "mi, en"),
    ("link", "<https://example.org/a>; rel=\"next\"; title*=UTF-8'de'x%20y"),
    ("digest", "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
    ("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ("signature-input", 'sig1=("@method" "@target-uri");created=1618884473;keyid="k"'),
    ("idempotency-key", '"8e03978e-40d5-43e8-bc93-6894a57f9324"'),
    ("x-amz-date|x-amz-content-sha256", "20250101T000000Z|UNSIGNED-PAYLOAD"),
    ("date", "Tue, 15 Nov 1994 08:12:31 GMT"),
    ("from", "webmaster@example.org"),
    ("alt-used", "api.example:443"),
    # cookies
    ("cookie", "a=b; c=d"),
    ("cookie", "a=b;c=d;"),
    ("cookie", 'a="b c"; _ga=GA1.2.1.2; empty='),
    ("cookie", "$Version=1; a=b; $Path=/"),
    ("cookie", 'prefs={"theme":"dark","lang":["de","en"]}; flag'),
    ("cookie", "a=b=c==; s=s%3Aabc.def%2Fghi"),
    ("cookie|cookie", "a=b|c=d"),
    # lists that may be sent in several lines (RFC 9110, section 5.3), and their empty elements (section 5.6.1)
    ("accept|accept", "text/html|application/json"),
    ("accept-encoding|accept-encoding", "gzip|br"),
    ("if-none-match|if-none-match", '"a"|W/"b"'),
    ("cache-control|cache-control", "no-cache|no-store"),
    ("prefer|prefer", "wait=10|return=minimal"),
    ("via|via", "1.1 a|1.1 b"),
    ("x-forwarded-for|x-forwarded-for", "192.0.2.9|192.0.2.10"),
    ("accept", "text/html, , application/json,"),
    ("connection", "keep-alive, , "),
    ("host", "api.example:443"),
    ("host", "api.example:"),
    ("host", "[2001:db8::1]:8443"),
    ("host", "api_gateway:8080"),
    ("host", "API.Example."),
    ("x-odd", ""),
    ("x-odd", "\t a\tb \xe9 "),
    ("expect", "100-continue"),
    ("expect", "100-Continue"),
]
"""Names and values, in pairs where several lines belong together."""


def open_house(directory: Path, text: str) -> House:
    loaded = load_policy(write_policy(directory, text, openapi=CONTRACT), "in_process")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatehouse, "load", lambda text: loaded)
        return House()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> House:
    return open_house(tmp_path_factory.mktemp("contract"), COMMON)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> House:
    return open_house(tmp_path_factory.mktemp("free"), COMMON + "openapi: none\n")


@pytest.fixture(params=["strict", "free"])
def house(request: pytest.FixtureRequest) -> House:
    found: House = request.getfixturevalue(request.param)
    return found


def refused(house: House, request: Request | dict[str, Any]) -> str:
    """Code and detail of the refusal; empty where the request passed."""
    if house.passes(request):
        return ""
    return "; ".join(f"{one.code}: {one.detail} {one.where}" for one in house.exchanges[-1].decision.findings)


@pytest.mark.parametrize(("names", "values"), HEADERS)
def test_headers(house: House, names: str, values: str) -> None:
    pairs = zip(names.split("|"), values.split("|") if "|" in names else [values], strict=True)
    headers = tuple((name.encode(), value.encode("latin-1")) for name, value in pairs)
    scope = Request("GET", headers=headers).scope()
    if names == "host":
        del scope["headers"][0]
    assert not refused(house, scope)


JSON = b'{"name":"a"}'
TYPES = [
    ("application/json", JSON),
    ("application/json;", JSON),
    ("application/json ; charset=utf-8", JSON),
    ("application/json;charset=UTF-8", JSON),
    ("application/json;charset=UTF-8;", JSON),
    ("application/json; ; charset=utf-8", JSON),
    ('application/json; charset="utf-8"', JSON),
    ('application/json;charset="UTF-8" ; ', JSON),
    ("application/json;\tcharset=utf-8", JSON),
    ("Application/JSON; Charset=Utf-8", JSON),
    ("application/json; charset=utf8", JSON),
    ("application/json; charset=us-ascii", JSON),
    ("application/json; charset=ISO-8859-1", JSON),
    ("application/json; odata=verbose", JSON),
    ("application/json; charset=UTF-8; odata=verbose", JSON),
    ("application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8", JSON),
    ('application/json; profile="https://example.org/a b;c,d"', JSON),
    ('application/json; title="say \\"a\\""', JSON),
    ("application/vnd.api+json", JSON),
    ('application/vnd.api+json; ext="https://jsonapi.org/ext/atomic"', JSON),
    ("application/merge-patch+json", JSON),
    ("application/x-www-form-urlencoded", b"name=a+b&tags=x&tags=y"),
    ("application/x-www-form-urlencoded;charset=utf-8", b"name=%C3%A9"),
    ("application/x-www-form-urlencoded; charset=UTF-8", b"name=a"),
    ("application/x-www-form-urlencoded; charset=ISO-8859-1", b"name=a%20b"),
    ("application/x-www-form-urlencoded;", b"name=a&"),
    ("text/plain", b"a"),
    ("text/plain;charset=UTF-8", "\u00e9".encode()),
    ("text/plain; charset=ISO-8859-1", b"a"),
    ("text/plain; format=flowed; delsp=yes", b"a"),
    ("application/xml; charset=utf-8", b"<a/>"),
    ("text/xml;charset=UTF-8", b"<a/>"),
    ("application/octet-stream", b"\0\1"),
    ("application/x-ndjson", b'{"a":1}\n{"a":2}\n'),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
]
B = "X"
FORM = 'Content-Disposition: form-data; name="name"'
MULTIPART = [
    ("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", [FORM]),
    ("multipart/form-data; boundary=---------------------------9051914041544843365972754266", [FORM]),
    ('multipart/form-data; boundary="4b1c6f4e-8c3a-4d0d-9d3e-0c1f2a3b4c5d"', [FORM]),
    ('multipart/form-data; boundary="=_a b:c/d?e"', [FORM]),
    ("multipart/form-data;boundary=X", [FORM]),
    ("multipart/form-data; boundary=X;", [FORM]),
    ("multipart/form-data; charset=utf-8; boundary=X", [FORM]),
    ("multipart/form-data; boundary=X; charset=UTF-8", [FORM]),
    ("Multipart/Form-Data; Boundary=X", [FORM]),
    # OkHttp, Retrofit
    ("multipart/form-data; boundary=X", [FORM + "\r\nContent-Length: 1"]),
    (
        "multipart/form-data; boundary=X",
        [
            FORM
            + "\r\nContent-Transfer-Encoding: binary\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 1"
        ],
    ),
    # Apache HttpClient
    (
        "multipart/form-data; boundary=X",
        [FORM + "\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit"],
    ),
    # .NET, PowerShell
    (
        'multipart/form-data; boundary="X"',
        ["Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=name"],
    ),
    (
        'multipart/form-data; boundary="X"',
        ["Content-Disposition: form-data; name=file; filename=a.png; filename*=utf-8''a.png"],
    ),
    # aiohttp, requests, httpx, Go
    (
        "multipart/form-data; boundary=X",
        ['Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="name"'],
    ),
    (
        "multipart/form-data; boundary=X",
        ['Content-Type: image/png\r\nContent-Disposition: form-data; name="file"; filename="a%20b.png"'],
    ),
    (
        "multipart/form-data; boundary=X",
        [
            'Content-Disposition: form-data; name="file"; filename="a b (1).png"\r\nContent-Type: application/octet-stream'
        ],
    ),
    (
        "multipart/form-data; boundary=X",
        ['Content-Disposition: form-data; name="file"; filename="\u00e9%22.png"\r\nContent-Type: image/png'],
    ),
    (
        "multipart/form-data; boundary=X",
        ['Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain;charset=UTF-8;'],
    ),
    (
        "multipart/form-data; boundary=X",
        ['Content-Disposition: form-data; name="file"; filename=""\r\nContent-Type: application/octet-stream'],
    ),
    ("multipart/form-data; boundary=X", ['content-disposition: form-data;name="name"']),
    (
        "multipart/form-data; boundary=X",
        ['Content-Disposition: form-data; filename="a.png"; name="file"\r\nContent-Type: image/png'],
    ),
    (
        "multipart/form-data; boundary=X",
        ['Content-Disposition: form-data; name="tags"', 'Content-Disposition: form-data; name="tags"'],
    ),
    # an empty `FormData` of a browser
    ("multipart/form-data; boundary=X", []),
]


@pytest.mark.parametrize(("kind", "body"), TYPES)
def test_media_types(house: House, kind: str, body: bytes) -> None:
    assert not refused(house, Request("POST", headers=((b"content-type", kind.encode()),), body=body))


@pytest.mark.parametrize(("kind", "parts"), MULTIPART)
def test_multipart(house: House, kind: str, parts: list[str]) -> None:
    boundary = re.search(r'boundary="?([^";]+)', kind, re.IGNORECASE)[1]
    body = "".join(f"--{boundary}\r\n{part}\r\n\r\na\r\n" for part in parts) + f"--{boundary}--\r\n"
    assert not refused(house, Request("POST", headers=((b"content-type", kind.encode()),), body=body.encode()))


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, {"content-length": "0"},
                                     {"content-length": "0", "content-type": "text/plain; charset=utf-8"},
                                     {"content-type": "application/x-www-form-urlencoded"}])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_requests_without_a_body(house: House, method: str, headers: dict[str, str]) -> None:
    pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
    assert not refused(house, Request(method, headers=pairs))


@pytest.mark.parametrize("target", ["/things", "/things?", "/things?&&a", "/things/a|b", "/things/a^b", "/things/[a]",
                                    "/things/a;v=1", "/things/a:b@c", "/things/%7Ea", "/things/a+b", "/things/a%2Bb",
                                    "/things?a={b}|c^d`e", "/things?a[]=1&a[b]=2", "/things?q=a%20b+c", "/things?a='b'",
                                    "/things?r=https://a/b?c", "/things/$count", "/things('a')"])  # fmt: skip
def test_targets_as_the_url_standard_writes_them(house: House, target: str) -> None:
    path, _, query = target.partition("?")
    why = refused(house, Request("GET", path, query))
    assert "request." not in why and "injection." not in why


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json; charset=ISO-8859-1", '{"name":"\u00e9"}'.encode()),
        ("application/x-www-form-urlencoded; charset=ISO-8859-1", b"name=%C3%A9"),
        ("application/x-www-form-urlencoded; charset=ISO-8859-1", b"name=%e9"),
        ("text/plain; charset=ISO-8859-1", "\u00e9".encode()),
        ("text/plain; charset=UTF-7", b"+ADw-"),
    ],
)
def test_a_charset_in_which_the_bytes_read_otherwise(strict: House, kind: str, body: bytes) -> None:
    """What the spellings above may not open: text that is one thing in UTF-8 and another in its charset."""
    assert "body.charset" in refused(strict, Request("POST", headers=((b"content-type", kind.encode()),), body=body))


@pytest.mark.parametrize(
    ("field", "status"),
    [("{}", 304), ("W/{}", 304), ('"a", {}', 304), ("W/{} ,", 304), ("*", 304), ('"a"', 200), ("", 200), ("x{}", 200)],
)
def test_a_condition_on_the_specification(strict: House, field: str, status: int) -> None:
    assert not strict.passes(Request(path="/openapi.json"))
    tag = dict(strict.said[0]["headers"])[b"etag"]
    condition = ((b"if-none-match", field.replace("{}", tag.decode()).encode()),)
    assert not strict.passes(Request(path="/openapi.json", headers=condition))
    assert strict.said[0]["status"] == status
