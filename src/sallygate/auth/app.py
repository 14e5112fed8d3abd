"""ASGI application of `/auth`: reads the few parameters of a request strictly, and sends the endpoint's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from sallygate.model.access import AuthCall
from sallygate.model.finding import Finding
from sallygate.parsing.http.forms import FormError, decode_pairs
from sallygate.parsing.http.media_types import kind_of, parse_content_type
from sallygate.parsing.json_text import JsonError, parse_json

PARAMETERS_MAX = 32

Message = MutableMapping[str, Any]  # Any: ASGI's own types are open


class Answer(Struct, frozen=True):
    """What an endpoint says; with what it found, where it refuses."""

    status: int
    body: Mapping[str, object] | None
    finding: Finding | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


Endpoint = Callable[[AuthCall, Mapping[str, str]], Awaitable[Answer]]


Failed = Callable[[str, BaseException], None]


class AuthApp:
    """ASGI application that answers the operations of `/auth`. Raises nothing: every failure is answered 503."""

    def __init__(self, endpoints: Mapping[str, Endpoint], forms_only: frozenset[str], failed: Failed) -> None:
        """`forms_only` are those that OAuth gives one form of request. `failed` tells the operator."""
        self._endpoints = endpoints
        self._forms_only = forms_only
        self._failed = failed

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        call: AuthCall = scope["sallygate.auth"]
        body = (await receive()).get("body", b"") if call.head.method == "POST" else b""
        try:
            answer = await self._answer(call, body)
        except Exception as error:  # never a yes, and nothing of it to the client
            self._failed("auth", error)
            answer = later("The request cannot be completed at present; try again later.", "auth.unavailable", 503, 5)
        if answer.finding is not None:
            call.findings.append(answer.finding)
        said = encode(answer.body) if answer.body is not None else b""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(said)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        named = {name for name, _ in answer.headers}
        headers = [pair for pair in headers if pair[0] not in named] + list(answer.headers)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    async def _answer(self, call: AuthCall, body: bytes) -> Answer:
        endpoint = self._endpoints.get(call.operation)
        if endpoint is None:  # a policy with it is just coming into force
            return later("The endpoint is not ready yet; try again.", "auth.unavailable", 503, 1)
        parameters = self._parameters(call, body)
        return parameters if isinstance(parameters, Answer) else await endpoint(call, parameters)

    def _parameters(self, call: AuthCall, body: bytes) -> Mapping[str, str] | Answer:
        """By name, each once (RFC 6749, section 3.2)."""
        if call.head.raw_query:
            return malformed("Parameters belong in the body, which no log stores.")
        if call.head.method != "POST":
            return {}
        media = parse_content_type(call.head.fields.get("content-type", ""))
        kind = kind_of(media.name) if media is not None else "none"
        if kind == "form":
            return _once(body)
        if kind == "json" and call.operation not in self._forms_only:
            return _members(body)
        accepted = "application/x-www-form-urlencoded"
        also = "" if call.operation in self._forms_only else " or application/json"
        return malformed(f"The body must be {accepted}{also}.", 415)


def malformed(detail: str, status: int = 400) -> Answer:
    """Answer to a request that breaks the endpoint's rules; `detail` says which, `status` is 400 or 415."""
    return refused("invalid_request", detail, Finding("auth.malformed", detail, status, owasp="API2"), status)


def refused(error: str, detail: str, finding: Finding, status: int = 400) -> Answer:
    """RFC 6749, section 5.2. `finding` says to the operator what `detail` does not say to the client."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if status == 401:
        headers = ((b"www-authenticate", b'Basic realm="api", charset="UTF-8"'),)
    return Answer(status, {"error": error, "error_description": detail}, finding, headers)


def later(detail: str, code: str, status: int, wait_s: float, rule: str = "") -> Answer:
    """Refused for now: 429 or 503, with `Retry-After`."""
    finding = Finding(code, detail, status, "throttle" if status == 429 else "deny", rule=rule, owasp="API2")
    answer = refused("temporarily_unavailable", detail, finding, status)
    return Answer(status, answer.body, finding, ((b"retry-after", str(max(1, ceil(wait_s))).encode()),))


def _once(body: bytes) -> Mapping[str, str] | Answer:
    try:
        pairs = decode_pairs(body, PARAMETERS_MAX)
    except FormError as error:
        return malformed(f"The form holds {error.detail}.")
    found = dict(pairs)
    return malformed("A parameter is given twice.") if len(found) != len(pairs) else found


def _members(body: bytes) -> Mapping[str, str] | Answer:
    try:
        tree = parse_json(body or b"{}", 2)
    except JsonError as error:
        return malformed(f"The body is not JSON that reads one way: {error.detail}.")
    if not isinstance(tree, dict) or not all(isinstance(value, str) for value in tree.values()):
        return malformed("The body must be an object of strings.")
    return tree
