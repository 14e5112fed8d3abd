"""Readers of recorded requests: lines of JSON, raw HTTP messages, curl lines. One common form; no judgement."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from sallygate.model.request import Headers

DEFAULT_CLIENT = "127.0.0.1"
DEFAULT_HOST = b"replay.invalid"


class UnreadableRequest(ValueError):
    """The record is no request. The message says what is wrong and what would be right."""


class RecordedResponse(Struct, frozen=True):
    """What the API answered, where the record says."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Recorded(Struct, frozen=True):
    """One request, with its response where the record has it."""

    method: str
    scheme: str
    raw_path: bytes
    raw_query: bytes
    headers: Headers
    body: bytes
    client: str
    at: float | None = None
    """Seconds since the epoch, where the record says."""
    response: RecordedResponse | None = None


def from_json(record: Any) -> Recorded:  # Any: decoded JSON
    """`{"method","url","headers":{…}|[[k,v],…],"body":"…"|"body_base64":"…","client":"ip","time":…,
    "response":{"status","headers","body"}}`; all but `url` may be left out."""
    if not isinstance(record, dict):
        raise UnreadableRequest("not a JSON object")
    method, url = record.get("method", "GET"), record.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        raise UnreadableRequest("`method` and `url` must be strings")
    body = _body(record)
    scheme, host, raw_path, raw_query = split_url(url)
    headers = _headers(record.get("headers") or {}, host, body)
    client = record.get("client", DEFAULT_CLIENT)
    if not isinstance(client, str):
        raise UnreadableRequest("`client` must be an address")
    return Recorded(
        method, scheme, raw_path, raw_query, headers, body, client, _time(record.get("time")),
        _response(record.get("response")),
    )  # fmt: skip


def _response(record: Any) -> RecordedResponse | None:
    if record is None:
        return None
    if not isinstance(record, dict) or type(status := record.get("status", 200)) is not int:
        raise UnreadableRequest("`response` must be an object whose `status` is a number")
    return RecordedResponse(status, _pairs(record.get("headers") or {}), _body(record))


def _body(record: dict[str, Any]) -> bytes:
    if (encoded := record.get("body_base64")) is not None:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise UnreadableRequest("`body_base64` is not base64") from None
    body = record.get("body") or ""
    if not isinstance(body, str):
        raise UnreadableRequest("`body` must be a string; use `body_base64` for bytes")
    return body.encode("utf-8", "surrogatepass")


def _time(value: Any) -> float | None:
    if value is None or isinstance(value, int | float):
        return value
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError):
        raise UnreadableRequest("`time` must be seconds since the epoch or an RFC 3339 time") from None


def split_url(url: str) -> tuple[str, bytes, bytes, bytes]:
    """(scheme, host, raw path, raw query) of a URL or a path, not a byte of the target changed."""
    scheme, host, target = "https", b"", url
    if (match := re.match(r"(https?|wss?)://([^/?#]*)", url, re.IGNORECASE)) is not None:
        scheme, host = match[1].lower(), match[2].encode("utf-8", "replace")
        target = url[match.end() :]
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("#")[0].partition("?")
    return scheme, host, path.encode("utf-8", "surrogatepass"), query.encode("utf-8", "surrogatepass")


def _headers(given: Any, host: bytes, body: bytes) -> Headers:
    # HTTP/2's pseudo-headers are the request line, not headers.
    return framed([pair for pair in _pairs(given) if not pair[0].startswith(b":")], host, body)


def _pairs(given: Any) -> Headers:
    if isinstance(given, dict):
        pairs = [(k, v) for k, values in given.items() for v in (values if isinstance(values, list) else [values])]
    elif isinstance(given, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in given):
        pairs = [(pair[0], pair[1]) for pair in given]
    else:
        raise UnreadableRequest("`headers` must be an object, or a list of [name, value]")
    return tuple([(_latin(name).lower(), _latin(value)) for name, value in pairs])


def framed(headers: list[tuple[bytes, bytes]], host: bytes, body: bytes) -> Headers:
    """With a `Host`, and the length of the body as it is here: recordings keep the body decoded or cut. What is
    ambiguous as recorded (two lengths, a length and a coding) stays so."""
    names = [name for name, _ in headers]
    if b"host" not in names:
        headers = [(b"host", host or DEFAULT_HOST), *headers]
    length = b"%d" % len(body)
    if names.count(b"content-length") == 1 and b"transfer-encoding" not in names:
        headers = [(n, length if n == b"content-length" and v.isdigit() else v) for n, v in headers]
    elif body and not {b"content-length", b"transfer-encoding"} & set(names):
        headers = [*headers, (b"content-length", length)]
    return tuple(headers)


def _latin(value: object) -> bytes:
    text = str(value)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def from_text(text: bytes) -> Recorded:
    """A raw HTTP message, or a curl line."""
    stripped = text.lstrip()
    if re.match(rb"(\$ )?curl\s", stripped):
        return _from_curl(stripped.decode("utf-8", "replace").removeprefix("$ "))
    if stripped.startswith(b"{"):
        from msgspec.json import decode

        return from_json(decode(stripped))
    return _from_message(text)


def _from_message(text: bytes) -> Recorded:
    """RFC 9112, leniently about line ends, since files are edited by hand."""
    separator = re.search(rb"\r?\n\r?\n", text)
    head, body = (text[: separator.start()], text[separator.end() :]) if separator else (text.rstrip(b"\r\n"), b"")
    lines = re.split(rb"\r?\n", head)
    match = re.fullmatch(rb"(\S+) (\S+)(?: HTTP/[0-9.]+)?", lines[0])
    if match is None:
        raise UnreadableRequest("line 1 is not a request line; write for example GET /orders?limit=5 HTTP/1.1")
    headers = []
    for number, line in enumerate(lines[1:], 2):
        name, colon, value = line.partition(b":")
        if not colon:
            raise UnreadableRequest(f"line {number} is not a header; write for example Host: api.example")
        headers.append((name.strip().lower(), value.strip()))
    if body.endswith(b"\n") and (b"content-length", str(len(body)).encode()) not in headers:
        body = body.rstrip(b"\r\n")  # the editor's last line end
    scheme, host, raw_path, raw_query = split_url(match[2].decode("latin-1"))
    return Recorded(match[1].decode("latin-1"), scheme, match[2].partition(b"?")[0] if not host else raw_path,
                    raw_query, framed(headers, host, body), body, DEFAULT_CLIENT)  # fmt: skip


_CURL_VALUES = {
    "-X": "method", "--request": "method", "-H": "header", "--header": "header", "-d": "data", "--data": "data",
    "--data-raw": "data", "--data-binary": "data", "--data-ascii": "data", "--json": "json", "-u": "user",
    "--user": "user", "-A": "agent", "--user-agent": "agent", "--url": "url", "-b": "cookie", "--cookie": "cookie",
    "--cacert": "", "-o": "", "--output": "", "-m": "", "--max-time": "", "--resolve": "", "-w": "", "--connect-to": "",
}  # fmt: skip
_CURL_TURNS = {"-G": "get", "--get": "get", "-I": "head", "--head": "head"}
_CURL_FLAGS = frozenset(
    "-k --insecure -s --silent -S --show-error -i --include -v --verbose -L --location -g --globoff -f --fail "
    "--compressed --http1.1 --http2 -sS -sk -ks -si -is -sv -vk -kv".split()
)


def _from_curl(line: str) -> Recorded:
    try:
        words = shlex.split(line.replace("\\\n", " ").strip())[1:]
    except ValueError as error:
        raise UnreadableRequest(f"the curl line cannot be split: {error}") from None
    got: dict[str, list[str]] = {}
    index = 0
    while index < len(words):
        word = words[index]
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in _CURL_VALUES:
            if not equals:
                index += 1
                if index >= len(words):
                    raise UnreadableRequest(f"curl's {name} has no value")
                value = words[index]
            got.setdefault(_CURL_VALUES[name], []).append(value)
        elif word in _CURL_TURNS:
            got[_CURL_TURNS[word]] = [""]
        elif not word.startswith("-"):
            got.setdefault("url", []).append(word)
        elif word not in _CURL_FLAGS:
            raise UnreadableRequest(f"curl's option {word} is not supported; remove it, or write a raw HTTP message")
        index += 1
    return _of_curl(got)


def _of_curl(got: dict[str, list[str]]) -> Recorded:
    if not got.get("url"):
        raise UnreadableRequest("the curl line has no URL")
    data = "&".join(got.get("data", [])) or "".join(got.get("json", []))
    if data.startswith("@"):
        raise UnreadableRequest("curl's @file bodies are not read; write the body out")
    url = got["url"][0]
    headers = [
        (n.strip().lower(), v.strip()) for n, _, v in (header.partition(":") for header in got.get("header", []))
    ]
    names = {name for name, _ in headers}
    if "get" in got and data:
        url, data = f"{url}{'&' if '?' in url else '?'}{data}", ""
    if data and "content-type" not in names:
        headers.append(("content-type", "application/json" if "json" in got else "application/x-www-form-urlencoded"))
    if "user" in got:
        headers.append(("authorization", "Basic " + base64.b64encode(got["user"][0].encode()).decode()))
    if "agent" in got or "user-agent" not in names:
        headers.append(("user-agent", got.get("agent", ["curl/8"])[0]))
    headers += [("cookie", value) for value in got.get("cookie", [])]
    method = got.get("method", ["HEAD" if "head" in got else "POST" if data else "GET"])[0]
    if not urlsplit(url).scheme and not url.startswith("/"):
        url = "https://" + url
    scheme, host, raw_path, raw_query = split_url(url)
    body = data.encode()
    raw = [(_latin(name), _latin(value)) for name, value in headers]
    return Recorded(method, scheme, raw_path, raw_query, framed(raw, host, body), body, DEFAULT_CLIENT)
