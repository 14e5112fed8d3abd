"""What the tests of a running gateway share: an upstream that says what it saw, and the comparison of what it saw
with what was inspected."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sallygate.model.event import Event
from sallygate.stores.events import read_events
from support import Received, Running, Upstream, until

OPEN = "openapi: none\nidentity: none\nplans: {}\noperations: {}\nclients: {specification: null}\n"
"""A policy that lets everything through that can be read one way: the hardest case for the reading of it."""

HOST = b"Host: 127.0.0.1\r\n"
_PLAIN_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: ?[\t\x20-\x7e\x80-\xff]*\r\n").fullmatch


def echo(request: Received, client: socket.socket) -> None:
    """Answers with what was asked, so that a client can tell its own answer from another's."""
    said = {"line": request.line.decode("latin-1"), "id": [v.decode() for v in request.values(b"x-request-id")],
            "length": len(request.body)}  # fmt: skip
    body = json.dumps(said).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    client.sendall(head if request.line.startswith(b"HEAD ") else head + body)


def events_of(running: Running, count: int = 0, within_s: float = 5.0) -> list[Event]:
    """The events written until now; waits until they stand for `count` exchanges."""
    directory = running.policy.parent / "state" / "events"

    events: list[Event] = []

    def enough() -> bool:
        events[:] = read_events(directory) if directory.is_dir() else ()
        return sum(event.count for event in events) >= count

    until(enough, within_s)
    return events


def check_only_inspected_left(running: Running, upstream: Upstream) -> None:
    """Every request the upstream saw is one the gate passed, with the same method, path and body, and the other way
    round; and none could be read in two ways."""
    seen = list(upstream.received)
    ids = [b",".join(request.values(b"x-request-id")).decode() for request in seen]
    assert all(count == 1 for count in Counter(ids).values()), "one inspected request became several"

    passed: dict[str, Event] = {}

    def written() -> bool:
        passed.update({event.request_id: event for event in events_of(running) if event.decision == "allow"})
        return set(passed) >= set(ids)

    until(written)
    for request, name in zip(seen, ids, strict=True):
        event = passed[name]
        method, target, version = request.line.split(b" ")
        assert (method.decode(), version) == (event.method, b"HTTP/1.1")
        assert target.partition(b"?")[0].decode("latin-1")[:256] == event.path
        assert len(request.body) == event.request_bytes, (request, event)
        lengths, codings = request.values(b"content-length"), request.values(b"transfer-encoding")
        assert len(lengths) + len(codings) <= 1, request
        assert not codings or codings == [b"chunked"], request
        assert len(request.values(b"host")) == 1, request
        folded = [name.lower().replace(b"_", b"-") for name, _ in request.headers]
        for name in (
            b"content-length",
            b"transfer-encoding",
            b"host",
            b"x-request-id",
            b"content-type",
            b"x-forwarded-for",
        ):
            assert folded.count(name) <= 1, request
    for line in upstream.raw.splitlines(keepends=True):
        assert line.split(b" ")[-1] == b"HTTP/1.1\r\n" or _PLAIN_FIELD(line), line


def statuses(answer: bytes) -> list[int]:
    """Of every answer in a stream of them."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def log_lines(file: Path) -> list[dict[str, Any]]:
    lines = []
    for line in file.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            lines.append({"event": line, "level": "not json"})
    return lines


# HTTP/2, written by hand so that it may be written wrong -------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, GOAWAY, CONTINUATION = 0, 1, 3, 4, 7, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(*pairs: tuple[bytes, bytes]) -> bytes:
    """HPACK literals without index or Huffman (RFC 7541, section 6.2.2): any byte can be said."""

    def text(value: bytes) -> bytes:
        size = len(value)
        if size < 127:
            return bytes([size]) + value
        size, out = size - 127, b"\x7f"
        while size >= 128:
            out += bytes([size % 128 + 128])
            size //= 128
        return out + bytes([size]) + value

    return b"".join(b"\0" + text(name) + text(value) for name, value in pairs)


def http2(running: Running, *frames: bytes, wait_s: float = 3.0) -> tuple[bytes, bool]:
    """Send `frames` on one HTTP/2 connection: (the bodies of all answers, whether the gateway refused the stream or
    the connection)."""
    client = running.connect_h2()
    client.settimeout(wait_s)
    body, refused, buffer = b"", False, b""
    try:
        client.sendall(PREFACE + frame(SETTINGS, 0, 0) + b"".join(frames))
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            part = client.recv(65536)
            if not part:
                refused = refused or not body
                break
            buffer += part
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                size = int.from_bytes(buffer[:3], "big")
                kind, flags, payload = buffer[3], buffer[4], buffer[9 : 9 + size]
                buffer = buffer[9 + size :]
                if kind == SETTINGS and not flags & 1:
                    client.sendall(frame(SETTINGS, 1, 0))
                elif kind == DATA:
                    body += payload
                elif kind in (RST, GOAWAY):
                    refused = True
                if (kind in (DATA, HEADERS) and flags & END_STREAM) or refused:
                    return body, refused
    except OSError:
        refused = True
    finally:
        client.close()
    return body, refused
