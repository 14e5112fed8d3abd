"""Judgement: what one control says in one phase of one exchange; and how a response has to leave."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from sallygate.model.decision import Edit, HeaderList, Reply
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.request import Body, BodyPlan, Framing
from sallygate.model.work import Charge, Work


class Slot(NamedTuple):
    """One of the requests allowed at once: held from admission to the end of the exchange."""

    table: str
    subject: str
    most: int
    """How many the subject may hold."""


class Meter(Struct, frozen=True, gc=False):
    """Counter that the bytes of a response are charged to as they leave."""

    table: str
    subject: str
    over: Finding | None = None
    """What is found where the response goes over the counter's limit; None where it is finished all the same."""


NEVER_S = 10.0 * 365 * 86400
STEADY_BYTES_PER_S = 16 * 1024
"""Pace of a body that nobody holds back: the slowest mobile networks still give it."""


class Pace(Struct, frozen=True, gc=False):
    """How slowly a body or a response may be taken."""

    after_s: float
    """For so long any pace will do."""
    bytes_per_s: int
    """The least pace from then on."""
    slow: Finding
    """What is found where it is slower."""
    whole_s: float = 0.0
    """For all of it; 0: however long."""
    late: Finding | None = None
    """What is found after `whole_s`."""

    def sent_within_s(self, received_bytes: int) -> float:
        """Seconds that a sender may have taken for so many bytes, by its pace alone."""
        return self.after_s + received_bytes / self.bytes_per_s if self.bytes_per_s else NEVER_S

    def whole_within_s(self, received_bytes: int) -> float:
        """Seconds that a whole body may take, of which so many bytes have come: a large one that comes steadily takes
        longer than a small one may."""
        return self.whole_s + received_bytes / STEADY_BYTES_PER_S if self.whole_s else NEVER_S


RESPONSE_TOO_LARGE = Finding(
    "response.too_large", "The response is larger than the limit for checking.", 502, owasp="API8"
)


class ResponsePlan(Struct, frozen=True, gc=False):
    """How a response leaves: streamed, record by record, held and read whole, or spooled into an unlinked file."""

    mode: Literal["stream", "records", "hold", "spool"] = "stream"
    copy_bytes_max: int = 0
    """Of a JSON response kept beside its stream for `inspect`; 0 keeps nothing."""
    coding: str = ""
    """The response's content coding, `gzip`, which is undone before it is read."""
    bytes_max: int = 0
    """Of a response that is held or spooled, or of one record. A larger one is refused, or cut where it has begun."""
    framing: Framing = "lines"
    """Where one record ends and the next begins."""
    is_json: bool = False
    """Whether the response is JSON that can be read; said by the engine."""
    over: Finding = RESPONSE_TOO_LARGE
    """What is found where it is larger than `bytes_max`."""


class Facts(Struct, frozen=True, gc=False):
    """Facts about a response: for the event, and for no decision."""

    records: int | None = None
    issued_ids: tuple[int, ...] = ()
    """Keyed hashes."""
    issued_truncated: bool = False


class Judgement(Struct, frozen=True, gc=False):
    """What one control says. Everything it leaves out stays as it is.

    The mode of the control is applied by the engine: in shadow, findings are recorded and nothing is refused, changed
    or sent to the client; charges and slots count all the same.
    """

    findings: tuple[Finding, ...] = ()
    """The first that is enforced refuses, ends or cuts; others are evidence."""
    charges: tuple[Charge, ...] = ()
    """Applied once, when the phase is over."""
    reserved: tuple[Charge, ...] = ()
    """Held while `work` is done, so that many at once do not pass a limit together."""
    slots: tuple[Slot, ...] = ()
    headers: HeaderList = ()
    """For the client: on the refusal, or on the API's response."""
    work: tuple[Work, ...] = ()
    """What has to be known before the control can say, all of it at once."""
    principal: Principal | None = None
    allowed: bool = False
    """The client address is on the list that takes precedence over every denial by location."""
    reply: Reply | None = None
    """The gate answers by itself."""
    body: BodyPlan | None = None
    parsed: Body | None = None
    """The request's body, read by the first control that needs it."""
    edits: tuple[Edit, ...] = ()
    """In order; each later control sees the result."""
    answer_at: float = 0.0
    """Time before which a refusal is not sent, in seconds since the epoch."""
    meter: Meter | None = None
    pace: Pace | None = None
    response: ResponsePlan | None = None
    drop_headers: frozenset[bytes] = frozenset()
    """Of the API's response, by lower-case name."""
    facts: Facts | None = None
