"""Texts put into requests: the places an attack or an honest value can stand in, and the suites' own encoders."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html import escape
from urllib.parse import quote

from sallygate.offline.recordings import Recorded

_HOST = (b"host", b"api.example")
_AGENT = (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
_COMMON = (_HOST, _AGENT, (b"accept", b"*/*"), (b"accept-language", b"en-US,en;q=0.5"))


def get(path: str = "/", query: str = "", *more: tuple[bytes, bytes], method: str = "GET") -> Recorded:
    headers = _with(more)
    return Recorded(method, "https", _bytes(path), _bytes(query), headers, b"", "192.0.2.7")


def post(body: bytes, media: str, *more: tuple[bytes, bytes], method: str = "POST", path: str = "/") -> Recorded:
    headers = _with(((b"content-type", media.encode()), (b"content-length", b"%d" % len(body)), *more))
    return Recorded(method, "https", _bytes(path), b"", headers, body, "192.0.2.7")


def _with(more: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    named = {name for name, _ in more}
    return (*(pair for pair in _COMMON if pair[0] not in named), *more)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def in_query(text: str) -> Recorded:
    return get("/search", "q=" + quote(text, safe=""))


def in_form(text: str) -> Recorded:
    return post(b"id=7&comment=" + quote(text, safe="").encode() + b"&lang=en", "application/x-www-form-urlencoded")


def in_multipart(text: str) -> Recorded:
    body = f'--frontier\r\nContent-Disposition: form-data; name="comment"\r\n\r\n{text}\r\n--frontier--\r\n'
    return post(body.encode("utf-8", "surrogatepass"), "multipart/form-data; boundary=frontier")


def in_json(text: str) -> Recorded:
    return post(
        json.dumps({"id": 7, "comment": text, "lang": "en"}).encode("utf-8", "surrogatepass"), "application/json"
    )


def in_path(text: str) -> Recorded:
    return get("/items/" + quote(text, safe="") + "/view")


def in_cookie(text: str) -> Recorded:
    return get("/", "", (b"cookie", b"theme=dark; session=" + quote(text, safe="").encode()))


def in_header(text: str) -> Recorded:
    return get("/", "", (b"x-filter", _field(text)))


def in_user_agent(text: str) -> Recorded:
    return get("/", "", (b"user-agent", _field(text)))


def in_xml(text: str) -> Recorded:
    return post(f"<?xml version='1.0'?><order><note>{escape(text)}</note></order>".encode(), "application/xml")


def _field(text: str) -> bytes:
    return text.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogatepass")


Place = Callable[[str], Recorded]
PLACES: dict[str, Place] = {"query": in_query, "form": in_form, "multipart": in_multipart, "JSON": in_json}
"""The four that every text is tried in."""


def encoded(text: str, encoder: str) -> str:
    """As GoTestWAF's encoders do."""
    if encoder in ("Base64", "Base64Flat"):
        flat = base64.b64encode(text.encode()).decode()
        return flat.rstrip("=") if encoder == "Base64Flat" else flat
    return text


def prompt(text: str) -> Recorded:
    """A text as the message of a user in a request to a language model."""
    return post(json.dumps({"messages": [{"role": "user", "content": text}]}).encode(), "application/json")
