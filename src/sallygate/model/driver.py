"""Commands of the exchange driver, and the events that shells feed it.

An event says what happened and when: `now` in seconds since the epoch, `tick` in seconds of a clock that never goes
back. A command says what a shell is to do; some ask for an event in return, and stand last in their batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from sallygate.model.access import AuthCall
from sallygate.model.decision import HeaderList
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.model.judgement import Pace
from sallygate.model.principal import Principal
from sallygate.model.request import Framing, Side
from sallygate.model.work import Work as WorkItem
from sallygate.model.work import WorkDone as WorkAnswer

# events --------------------------------------------------------------------------------------------------------------


class Event(Struct, frozen=True, gc=False):
    """What happened, and when."""

    now: float
    tick: float


class WorkDone(Event, frozen=True, gc=False):
    """Answers to all of a `Work`."""

    answers: tuple[WorkAnswer, ...]


class WorkFailed(Event, frozen=True):
    """A `Work` that raised: nothing is known of what was asked."""

    error: BaseException | None = None


class Offloaded(Event, frozen=True):
    """What an `Offload` returned or raised."""

    result: object = None
    error: BaseException | None = None


class SlotTaken(Event, frozen=True, gc=False):
    """The ticket of a `TakeSlot` was woken."""


class SlotRefused(Event, frozen=True, gc=False):
    """The ticket was not woken within the time."""


class BodyRead(Event, frozen=True, gc=False):
    """A body, whole; or how far it came."""

    data: bytes = b""
    outcome: Literal["whole", "cut", "large", "slow", "late", "full", "failed"] = "whole"
    """`cut`: its sender ended early; `large`: more than the plan allows; `slow`, `late`: against the pace given;
    `full`: memory has no room for it; `failed`: the shell could not keep it."""
    waited_s: float = 0.0


class Spooled(Event, frozen=True):
    """A body lies in an unlinked file, whole. The driver hands the file to controls, and to who sends it."""

    file: object
    size: int
    """Bytes."""
    waited_s: float = 0.0


class RecordRead(Event, frozen=True, gc=False):
    """One record of a body that is read record by record, with the bytes that end it; None at the body's end."""

    side: Side
    data: bytes | None
    large: bool = False
    """Whether it is a piece of a record that is larger than it may be."""
    waited_s: float = 0.0


class ResponseHead(Event, frozen=True, gc=False):
    """The head of the API's response."""

    status: int
    """101: a connection for messages was accepted."""
    headers: HeaderList


class Chunk(Event, frozen=True, gc=False):
    """Piece of a body; `waited_s` is the time that its sender took."""

    side: Side
    data: bytes
    more: bool
    waited_s: float = 0.0


class Message(Event, frozen=True, gc=False):
    """One message of a connection that was accepted, WebSocket or gRPC."""

    side: Side
    data: bytes
    text: bool = False


class Trailers(Event, frozen=True, gc=False):
    """Fields that follow a body (RFC 9110, section 6.5)."""

    side: Side
    headers: HeaderList


class Sent(Event, frozen=True, gc=False):
    """A send is complete; `waited_s` is the time that its reader took."""

    waited_s: float = 0.0


class Reported(Event, frozen=True, gc=False):
    """Findings of `/auth` or of an agent within the application."""

    findings: tuple[Finding, ...]


class End(Event, frozen=True, gc=False):
    """The API is done with the request."""


class ClientGone(Event, frozen=True, gc=False):
    """The client left."""


class ApiFailed(Event, frozen=True, gc=False):
    """The API could not be asked, or ended without a whole response."""


class Expired(Event, frozen=True, gc=False):
    """The time of a `Deadline` is over."""

    side: Side


class Interrupted(Event, frozen=True, gc=False):
    """Restrictions have changed: one may end what is under way."""


# commands ------------------------------------------------------------------------------------------------------------


class Work(Struct, frozen=True, gc=False):
    """Find out, all at once; answer with `WorkDone` or `WorkFailed`."""

    items: tuple[WorkItem, ...]


class Offload(Struct, frozen=True):
    """Run `call` off the event loop; answer with `Offloaded`."""

    call: Callable[[], object]


class TakeSlot(Struct, frozen=True):
    """Wait until `ticket` is woken; answer with `SlotTaken`, `SlotRefused` or `ClientGone`."""

    ticket: object
    wait_s: float


class ReleaseSlot(Struct, frozen=True):
    """Call `leave` with the tick after so many seconds."""

    after_s: float
    leave: Callable[[float], None]


class ReadBody(Struct, frozen=True):
    """Read the whole request body; answer with `BodyRead`."""

    bytes_max: int
    pace: Pace | None
    """None: however slowly."""
    keep: Callable[[int], bool]
    """Called with the size of each piece, before it is kept; False where memory has no room for it."""


class ReadRecord(Struct, frozen=True, gc=False):
    """From now on, feed the body of a side by records: `RecordRead` instead of `Chunk`."""

    side: Side
    framing: Framing
    bytes_max: int
    """Of one record."""


class Spool(Struct, frozen=True, gc=False):
    """Write a body into an unlinked file; answer with `Spooled`, or with `BodyRead` where it did not come whole."""

    side: Side
    bytes_max: int
    pace: Pace | None = None
    """None: however slowly."""


class CallApi(Struct, frozen=True):
    """Hand the request on. Events of both directions follow, `End` or `ApiFailed` last."""

    headers: tuple[tuple[bytes, bytes], ...]
    raw_query: bytes | None
    """Where it is not the one that was sent."""
    body: bytes | None
    """Whole; None where it streams by `Chunk` and `SendToApi`."""
    principal: Principal | None
    own: AuthCall | None = None
    """For `/auth`, which answers in the API's place."""
    spool: object = None
    """File with the body of a request that was spooled."""


class SendToApi(Struct, frozen=True, gc=False):
    """Send a piece of the request's body on."""

    data: bytes
    more: bool


class EndToApi(Struct, frozen=True, gc=False):
    """The request ends before it is whole."""


class HoldHead(Struct, frozen=True, gc=False):
    """Nothing of the response is sent until it has been read whole, up to so many bytes."""

    bytes_max: int


class SendHead(Struct, frozen=True, gc=False):
    """Send the head of the API's response."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]


class SendToClient(Struct, frozen=True, gc=False):
    """Answer with `Sent` where more follows."""

    data: bytes
    more: bool


class SendSpool(Struct, frozen=True):
    """Send a spooled body to the client, whole."""

    file: object


class SendTrailers(Struct, frozen=True, gc=False):
    """Send the fields that follow a body."""

    side: Side
    headers: HeaderList


class Accept(Struct, frozen=True, gc=False):
    """Accept a connection for messages."""

    headers: HeaderList = ()


class SendMessage(Struct, frozen=True, gc=False):
    """Send one message on, to `side`."""

    side: Side
    data: bytes
    text: bool = False


class Close(Struct, frozen=True, gc=False):
    """End a connection for messages in order."""

    side: Side
    code: int


class Cut(Struct, frozen=True, gc=False):
    """End one side at once. `reset`: so that a response that is not whole does not look whole."""

    side: Side
    how: Literal["stop", "reset"]


class Reply(Struct, frozen=True, gc=False):
    """Answer the client whole, in the API's place; answer with `Sent`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    not_before: float = 0.0
    """Seconds since the epoch."""


class Deadline(Struct, frozen=True, gc=False):
    """Feed `Expired` where the next event of a side takes longer than so many seconds; None takes the limit away."""

    side: Side
    after_s: float | None


class Record(Struct, frozen=True, gc=False):
    """Hand the exchange to every event sink."""

    exchange: Exchange


Command = (
    Work | Offload | TakeSlot | ReleaseSlot | ReadBody | ReadRecord | Spool | CallApi | SendToApi | EndToApi
    | HoldHead | SendHead | SendToClient | SendSpool | SendTrailers | Accept | SendMessage | Close | Cut | Reply
    | Deadline | Record
)  # fmt: skip
