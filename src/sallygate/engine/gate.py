"""Gate of one policy: everything a request needs, replaced as a whole by a reload."""

from __future__ import annotations

from msgspec import Struct

from sallygate.engine.early import EarlyRejection
from sallygate.engine.engine import Engine
from sallygate.events.record import Source
from sallygate.model.decision import HeaderList
from sallygate.parsing.http.head import HeadReader
from sallygate.state.state import State

OVERRIDES = frozenset(
    (b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url")
)
"""By these, frameworks and IIS run another operation than the request line's, which is the one that was judged. Honest
pages send them too (0.4% of recorded requests, to services that do without), so they are taken off, not refused."""

PLAIN = frozenset(
    (b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"content-length",
     b"content-type", b"cookie", b"host", b"if-modified-since", b"if-none-match", b"origin", b"pragma", b"priority",
     b"referer", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"te", b"traceparent", b"user-agent")
)  # fmt: skip
"""What nearly every request has."""


class Gate(Struct, frozen=True):
    """One policy in force."""

    engine: Engine
    reader: HeadReader
    early: EarlyRejection
    state: State
    dropped_headers: frozenset[bytes]
    """Credentials, claims of who the client is, and other names for operations, which the API does not get."""
    declared_headers: frozenset[bytes]
    """The contract's header parameters: other spellings of them do not travel."""
    answer_headers: HeaderList
    """On every answer: HSTS."""
    counted_operations: frozenset[str]
    """Whose responses must come in a coding that can be read: of limits in shadow no request changes."""
    source: Source
    """What its events have in common."""
    plain_headers: frozenset[bytes] = frozenset()
    """Of `PLAIN`, those that no policy takes off: known to travel without a second look."""
