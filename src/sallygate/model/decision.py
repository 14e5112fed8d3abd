"""Decision with its findings, and what belongs to one: header fields, replies of the gate, edits."""

from __future__ import annotations

from math import ceil

from msgspec import Struct

from sallygate.model.finding import Finding, Verdict

HeaderList = tuple[tuple[bytes, bytes], ...]


def retry_after(seconds: float) -> HeaderList:
    """`Retry-After` (RFC 9110, section 10.2.3), at least a second."""
    return ((b"retry-after", str(max(1, ceil(seconds))).encode()),)


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


class Reply(Struct, frozen=True):
    """An answer the gate gives by itself without the API: the specification, a preflight."""

    status: int
    headers: HeaderList
    body: bytes


class Edit(Struct, frozen=True, gc=False):
    """One change of what is forwarded: a value replaced, and every other byte kept."""

    at: str
    """As findings name places: `query` (all of it, undecoded), `body:` (all of it), or `body:` and a JSON pointer
    (RFC 6901) into the body as the control saw it."""
    replacement: bytes | None
    """What stands there instead, JSON text at a pointer; None removes the value."""
