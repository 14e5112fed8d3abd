"""Filter of header fields in each direction of the proxy. Pure functions over bytes; knows no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sallygate.parsing.http.hop_fields import FORWARDING, NOT_IN_TRAILERS, PER_HOP

Raw = Iterable[tuple[bytes, bytes]]

_PER_HOP: Final = frozenset(name.encode() for name in PER_HOP)

_REQUEST_DROPPED: Final = _PER_HOP | FORWARDING | {b"content-length", b"expect", b"host"}
"""`Expect` is answered by the server in front, which sends 100 when the body is first asked for. Who the client
is, these fields say for the gate alone; other names for it the gate has dropped."""

_RESPONSE_DROPPED: Final = _PER_HOP | {b"server"}
"""Response fields that name the software behind the gate; they are removed."""

_END_TO_END: Final = frozenset(
    (
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"host",
        b"set-cookie",
        b"traceparent",
        b"x-request-id",
    )
)
"""`Connection` may not name these (RFC 9110, section 7.6.1, last but one paragraph): a client that does is
after making the upstream see another request than the one inspected, or none of the identity the gate vouches
for."""

_GATE_PREFIX: Final = b"x-sallygate-"


def named_by(connection: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that these `Connection` values take off the message."""
    names = (name.strip().lower() for value in connection for name in value.split(b","))
    return frozenset(name for name in names if name not in _END_TO_END and not name.startswith(_GATE_PREFIX))


class RequestFields:
    """The header the upstream gets, in the order received, and what it said about the body."""

    __slots__ = ("fields", "has_body", "host", "length")

    def __init__(self, headers: Raw, client: str | None, scheme: str) -> None:
        """Raises `ValueError` for a length that is none."""
        kept: list[tuple[bytes, bytes]] = []
        connection: list[bytes] = []
        self.host = b""
        """As the client sent it."""
        self.length: int | None = None
        """The declared length. Not among `fields`, because a body that was buffered knows its own."""
        self.has_body = False
        for name, value in headers:
            if name not in _REQUEST_DROPPED:
                if b"_" in name and name.replace(b"_", b"-") in _REQUEST_DROPPED:
                    continue  # to CGI and WSGI the same field
                kept.append((name, value))
            elif name == b"content-length":
                self.length = int(value)
                self.has_body = True
            elif name == b"host":
                self.host = value
            elif name == b"connection":
                connection.append(value)
            elif name == b"transfer-encoding":
                self.has_body = True
        if connection and (gone := named_by(connection)):
            kept = [pair for pair in kept if pair[0] not in gone]
        if client is not None:
            kept.append((b"x-forwarded-for", client.encode("ascii")))
        kept.append((b"x-forwarded-proto", scheme.encode("ascii")))
        if self.host:
            kept.append((b"x-forwarded-host", self.host))
        self.fields = kept


_LOCATIONS: Final = frozenset((b"location", b"content-location"))


def local_location(value: bytes, origins: Mapping[bytes, bytes]) -> bytes:
    """A reference to the API's own address, as one to the gate: without scheme and authority (RFC 9110, section
    10.2.2). `origins` are those of the upstreams (`http://10.0.0.5:9000`) with the paths they stand under."""
    for origin, prefix in origins.items():
        rest = value[len(origin) :]
        if value[: len(origin)].lower() == origin and rest[:1] in (b"", b"/", b"?", b"#"):
            if prefix and (rest == prefix or rest.startswith(prefix + b"/")):
                rest = rest[len(prefix) :]
            return rest if rest.startswith(b"/") and not rest.startswith(b"//") else b"/" + rest.lstrip(b"/")
    return value


def for_client(headers: Raw, origins: Mapping[bytes, bytes] = MappingProxyType({})) -> list[tuple[bytes, bytes]]:
    """The header the client gets: names in lower case as ASGI wants them, repetitions apart and in order; `origins` as
    in `local_location`."""
    kept: list[tuple[bytes, bytes]] = []
    connection: list[bytes] = []
    for name, value in headers:
        lower = name.lower()
        if lower not in _RESPONSE_DROPPED:
            kept.append((lower, local_location(value, origins) if lower in _LOCATIONS else value))
        elif lower == b"connection":
            connection.append(value)
    if connection and (gone := named_by(connection)):
        return [pair for pair in kept if pair[0] not in gone]
    return kept


def trailers_for_client(trailers: Raw) -> list[tuple[bytes, bytes]]:
    """The trailer fields the client gets: those of `for_client` that may come after a body."""
    return [pair for pair in for_client(trailers) if pair[0] not in NOT_IN_TRAILERS]
