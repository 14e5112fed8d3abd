"""Request as the caller sent it, read once: the head, then, only when a decision asked for it, the body.

The values keep both readings: the bytes that will be forwarded, and the one canonical text the controls judge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct

from sallygate.model.finding import Finding

Side = Literal["client", "api"]
"""Of an exchange: who sends, or to whom something is sent."""
Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case as ASGI gives them, values raw, in the order received."""


class RequestHead(Struct, frozen=True, gc=False):
    """Everything known of a request before its body is read.

    `fault` is set when the head cannot be read in one way only; the engine then refuses before any control runs, and
    the canonical members (`segments`, `query`, `fields`) may be empty.
    """

    method: str
    scheme: str
    """`https` or `http`, believed from a forwarding header only when the hop that wrote it is trusted."""
    raw_path: bytes
    raw_query: bytes
    """Without the question mark."""
    headers: Headers
    http_version: str
    peer: str
    """The socket's address."""
    client_address: str
    """The address proven through trusted hops; equal to `peer` when there are none."""
    client_network: str
    """What addresses are counted by: the IPv4 address itself, or the IPv6 /64."""
    segments: tuple[str, ...]
    """The path split at `/`, then percent-decoded: `/users/a%20b` is `("users", "a b")`, `/` is `("",)`."""
    query: tuple[tuple[str, str], ...]
    """Decoded pairs in order, `+` read as a space."""
    fields: Mapping[str, str]
    """Header values by lower-case name; repeated list headers joined with `, `."""
    request_id: str
    trace_id: str
    """W3C trace id (32 hexadecimal digits) of `traceparent`, or made here."""
    received_at: float
    """Seconds since the epoch."""
    websocket: bool = False
    fault: Finding | None = None

    @property
    def target(self) -> bytes:
        """The request target as it is forwarded."""
        return self.raw_path + b"?" + self.raw_query if self.raw_query else self.raw_path

    @property
    def unframed(self) -> bool:
        """Whether a body may follow that no header field announces: HTTP/2 and 3 need none (RFC 9113, 8.1.1)."""
        fields = self.fields
        return self.http_version[:1] in ("2", "3") and not ("content-length" in fields or "transfer-encoding" in fields)

    @property
    def path(self) -> str:
        """The path for people and events, undecoded."""
        return self.raw_path.decode("ascii", "backslashreplace")


BodyKind = Literal["none", "json", "form", "multipart", "text", "binary"]
Framing = Literal["lines", "events"]
"""Of records: lines of JSON (NDJSON), or server-sent events (WHATWG HTML, section 9.2.6)."""


class BodyPlan(Struct, frozen=True, gc=False):
    """How a body is read: not at all, whole, as a metered stream, record by record, or into an unlinked file."""

    mode: Literal["none", "whole", "stream", "records", "spool"]
    kind: BodyKind = "none"
    bytes_max: int = 0
    """Of the whole body."""
    media: str = ""
    """The media type in lower case without parameters, `application/json`."""
    boundary: str = ""
    """Of a multipart body."""
    coding: str = ""
    """The content coding to undo before the body is parsed, `gzip`."""
    declared: str = ""
    """The contract's own key for the media type (`application/*`), where its schema is found again."""
    ascii: bool = False
    """Whether the text has to be ASCII, because its charset is not UTF-8."""
    over: str = "contract.body_size"
    """The code of the finding that a larger body gets (413)."""
    limit: str = ""
    """The policy's field that `bytes_max` comes from, `contract.upload`: the rule of that finding."""
    framing: Framing = "lines"
    """Where one record ends and the next begins."""
    record_bytes_max: int = 0


NO_BODY = BodyPlan("none")


class Part(Struct, frozen=True, gc=False):
    """One part of a multipart body."""

    name: str
    filename: str | None
    media: str
    """Lower-case media type without parameters; `text/plain` when the part names none (RFC 7578, section 4.4)."""
    data: bytes
    others: tuple[str, ...] = ()
    """Values of header fields that forms do not have: data to whatever reads them."""


class Body(Struct, frozen=True):
    """A body as read and parsed once. `tree` is, by kind: the JSON value; a tuple of (name, value) pairs; a tuple of
    `Part`; the text; or None."""

    raw: bytes
    kind: BodyKind
    media: str
    tree: object
    declared: str = ""


EMPTY_BODY = Body(b"", "none", "", None)


def is_among(method: str, methods: Collection[str]) -> bool:
    """Whether `methods`, in capitals, names the method. GET names HEAD too, which is a GET without its body; and `post`
    is POST, as it is to some servers."""
    method = method.upper()
    return method in methods or (method == "HEAD" and "GET" in methods)
