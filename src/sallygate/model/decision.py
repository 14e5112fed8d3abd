"""What the engine answers: refuse, find something out first, or go on, and how."""

from __future__ import annotations

from msgspec import Struct

from sallygate.model.finding import Finding, Verdict
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import NO_BODY, BodyPlan
from sallygate.model.work import Charge, Work

HeaderList = tuple[tuple[bytes, bytes], ...]


class Decision(Struct, frozen=True, gc=False):
    """The outcome of a phase, with its evidence."""

    verdict: Verdict
    status: int
    """What the client is answered; 200 stands for "whatever the API says" while the verdict is `allow`."""
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Codes of the enforced findings, strongest first."""
        return tuple(dict.fromkeys(f.code for f in self.findings if f.mode == "enforce"))


ALLOW = Decision("allow", 200)


class Ask(Struct, frozen=True, gc=False):
    """The engine needs `work` done before it can say."""

    work: Work
    reserved: tuple[Charge, ...] = ()
    """Held while the work is done, so that many at once do not pass a limit together; given back when the request is
    decided, and charged when it ends undecided."""


class Reply(Struct, frozen=True):
    """An answer the gate gives by itself without the API: the specification, a preflight."""

    status: int
    headers: HeaderList
    body: bytes


class Refuse(Struct, frozen=True, gc=False):
    """The request ends here."""

    decision: Decision
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    """To add to the problem document's own: `Retry-After`, `Allow`, `RateLimit`."""
    operation: Operation | None = None
    principal: Principal | None = None


class Answer(Struct, frozen=True, gc=False):
    """The gate answers by itself."""

    decision: Decision
    reply: Reply
    charges: tuple[Charge, ...] = ()


class Admission(Struct, frozen=True, gc=False):
    """The request may go on: read the body as planned, then `examine`."""

    decision: Decision
    operation: Operation | None
    """None only under a policy that runs without a contract."""
    path_values: tuple[tuple[str, str], ...]
    principal: Principal | None
    body: BodyPlan = NO_BODY
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    """For the API's answer: `RateLimit` and its policy."""
    held: tuple[tuple[str, str, int], ...] = ()
    """(table, subject, most): places among concurrent requests, taken by Guard and given back at the end."""
    own: bool = False
    """For `/auth`, which the gate answers itself."""


class Edit(Struct, frozen=True, gc=False):
    """What of a request is forwarded otherwise than it was sent; None where nothing changes."""

    raw_query: bytes | None = None
    body: bytes | None = None


class Pass(Struct, frozen=True, gc=False):
    """The request goes to the API, changed by nothing but `edit`."""

    decision: Decision
    edit: Edit | None = None


class Release(Struct, frozen=True, gc=False):
    """How the answer leaves: metered as it streams, and read beside the stream where records or ids are wanted."""

    cut: bool = False
    """Cut the stream where the caller's byte budget ends (a policy with `on_exceed: cut`)."""
    read_bytes_max: int = 0
    """Keep a copy of the JSON body up to this size; 0 reads nothing."""
    coding: str = ""
    """The answer's content coding, `gzip`, which the copy must be undone of."""


class Learned(Struct, frozen=True, gc=False):
    """What an answer told: how many records left, which ids, and what they cost."""

    records: int | None = None
    issued_ids: tuple[int, ...] = ()
    issued_truncated: bool = False
    charges: tuple[Charge, ...] = ()
