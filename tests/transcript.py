"""Transcript of one exchange: events fed to the driver as `>>` lines, its commands as `<<` lines.

The shell of these tests: it carries nothing out, so that each test feeds what it wants, when it wants.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from textwrap import dedent
from typing import Any

from gatehouse import NOW, House, Request, policy_text
from sallygate.engine.evaluation import TAKES, Judge
from sallygate.engine.exchange import ExchangeDriver
from sallygate.model import driver as d
from sallygate.model.control import Phase
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding, Mode
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.request import BodyPlan
from sallygate.state.load_shedding import Ticket

JSON = (b"content-type", b"application/json")
OCTETS = (b"content-type", b"application/octet-stream")
NDJSON = (b"content-type", b"application/x-ndjson")
CHUNKED = (b"transfer-encoding", b"chunked")
UPLOAD = Request("POST", key="large", headers=(OCTETS, CHUNKED))
"""A body that streams to the API."""
RECORDS = ResponsePlan("records", bytes_max=50)


def post(body: bytes) -> Request:
    """A JSON body that is read whole."""
    return Request("POST", key="large", headers=(JSON, (b"content-length", b"%d" % len(body))))


def house(*, modes: dict[str, str] | None = None, data: str = "bytes: 1000/day", extra: str = "",
          **more: Any) -> House:  # fmt: skip
    """A gate whose `large` plan has `data`; `extra` are the policy's sections as they are written."""
    plans = {"large": f'{{rate: 50/s burst 50, quota: {{hour: 100}}, data: {{{data}}}, scopes: ["*"]}}',
             "small": "{rate: 5/s burst 5, quota: {hour: 8}, scopes: [things:read]}"}  # fmt: skip
    own = {name: more.pop(name) for name in ("limits", "flood", "contract") if name in more}
    text = policy_text(modes, plans, **own)
    return House(text=text + extra, **more)


def add(made: House, phase: Phase, judge: Callable[[Any], Judgement | None], mode: Mode = "enforce") -> None:
    """Add a control of the test's own to one phase."""
    made.gate.engine.controls.add(phase, Judge(judge, "own", phase, mode, False, False, TAKES[phase]))
    made.gate.engine.compile()


def recorded(judge: Any = lambda at: None, mode: Any = "enforce") -> House:
    """A gate with a control that judges both directions record by record."""
    made = house()
    plan = BodyPlan("records", bytes_max=1000, record_bytes_max=50)
    add(made, "plan", lambda at: Judgement(body=plan) if at.body_plan.mode == "stream" else None)
    add(made, "release", lambda at: Judgement(response=RECORDS), mode)
    add(made, "message", judge, mode)
    return made


def slots(made: House) -> int:
    """Slots that are held, of every kind."""
    return sum(made.state.slots._taken.values())


def fill(made: House) -> Ticket:
    """Take the API's slots until one more request has to wait."""
    shedder = made.state.shedder
    for number in range(shedder.limit):
        ticket = Ticket(0, f"other{number}", "")
        shedder.open(ticket)
        shedder.enter(ticket, 0.0)
    return ticket


def one_slot(**more: Any) -> tuple[House, Ticket]:
    """A gate in front of an API whose slots are all taken."""
    made = house(flood="shedding: {min: 1, initial: 1, max: 1, wait: 500ms}", **more)
    return made, fill(made)


class Transcript:
    """One exchange, fed by hand."""

    def __init__(self, gatehouse: House, request: Request | None = None, *, start: bool = True) -> None:
        self.house, self.now, self.tick = gatehouse, NOW, 0.0
        head = gatehouse.head(request or Request(key="large"))
        self.driver = ExchangeDriver(gatehouse.gate, head, gatehouse, 0.0)
        self.lines: list[str] = []
        self.commands: list[d.Command] = []
        if start:
            self._say(self.driver.start())

    # what a shell feeds ----------------------------------------------------------------------------------------------

    def feed(self, kind: type[d.Event], *values: Any, after_s: float = 0.0) -> tuple[d.Command, ...]:
        """Feed one event, `after_s` seconds after the last."""
        self.now, self.tick = self.now + after_s, self.tick + after_s
        event = kind(self.now, self.tick, *values)
        self.lines.append(f">> {_event(event)}")
        return self._say(self.driver.feed(event))

    def body(self, data: bytes = b"", outcome: str = "whole", waited_s: float = 0.0) -> tuple[d.Command, ...]:
        return self.feed(d.BodyRead, data, outcome, waited_s)

    def sent(self, data: bytes, more: bool = True, waited_s: float = 0.0) -> tuple[d.Command, ...]:
        """A piece that the client sent."""
        return self.feed(d.Chunk, "client", data, more, waited_s)

    def head(self, status: int = 200, *headers: tuple[bytes, bytes]) -> tuple[d.Command, ...]:
        return self.feed(d.ResponseHead, status, headers or (JSON,))

    def chunk(self, data: bytes = b'{"items":[]}', more: bool = False) -> tuple[d.Command, ...]:
        """A piece that the API sent."""
        return self.feed(d.Chunk, "api", data, more)

    def answer(self, data: bytes = b'{"items":[]}') -> None:
        """A whole response."""
        self.head()
        self.chunk(data)
        self.feed(d.End)

    def close(self, after_s: float = 0.0) -> tuple[d.Command, ...]:
        self.now, self.tick = self.now + after_s, self.tick + after_s
        self.lines.append(">> close")
        return self._say(self.driver.close(self.now, self.tick))

    # what came of it -------------------------------------------------------------------------------------------------

    def _say(self, commands: tuple[d.Command, ...]) -> tuple[d.Command, ...]:
        self.commands += commands
        self.lines += [f"<< {_command(command)}" for command in commands]
        return commands

    def reads(self, text: str) -> bool:
        """Whether the transcript so far is `text`; pytest shows the difference."""
        wanted = [line.strip() for line in dedent(text).strip().splitlines()]
        assert self.lines == wanted
        return True

    def of(self, kind: type[Any]) -> list[Any]:
        """The commands of one kind."""
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def record(self) -> Exchange:
        (record,) = self.of(d.Record)
        exchange: Exchange = record.exchange
        return exchange

    @property
    def found(self) -> list[tuple[str, str]]:
        """Code and mode of each finding of the event."""
        return [(finding.code, finding.mode) for finding in self.record.decision.findings]

    @property
    def to_client(self) -> list[Any]:
        """What left for the client, without the request id."""
        kinds = (d.SendHead, d.SendToClient, d.Reply, d.Cut)
        return [command for command in self.commands if isinstance(command, kinds)]


def _event(event: d.Event) -> str:
    name = type(event).__name__
    if isinstance(event, d.ResponseHead):
        return f"{name} {event.status}"
    if isinstance(event, d.Chunk):
        return f"{name} {event.side} {_piece(event)}"
    if isinstance(event, d.RecordRead):
        size = "end" if event.data is None else f"{len(event.data)} bytes{', large' if event.large else ''}"
        return f"{name} {event.side} {size}"
    if isinstance(event, d.Message):
        return f"{name} {event.side} {len(event.data)} bytes"
    if isinstance(event, d.Trailers):
        return f"{name} {event.side} {_names(event.headers)}"
    if isinstance(event, d.Spooled):
        return f"{name} {event.size} bytes"
    if isinstance(event, d.BodyRead):
        return f"{name} {event.outcome} {len(event.data)} bytes"
    if isinstance(event, d.Expired):
        return f"{name} {event.side}"
    return f"{name} with an error" if getattr(event, "error", None) is not None else name


def _command(command: d.Command) -> str:
    name = type(command).__name__
    if isinstance(command, d.Work):
        return f"{name} {' '.join(type(item).__name__ for item in command.items)}"
    if isinstance(command, d.ReadBody):
        return f"{name} of {command.bytes_max} bytes at most, {'paced' if command.pace is not None else 'at any pace'}"
    if isinstance(command, d.CallApi):
        spooled = "spooled" if command.spool is not None else "streaming"
        return f"{name} {spooled if command.body is None else f'{len(command.body)} bytes'}"
    if isinstance(command, d.Spool | d.HoldHead):
        side = f"{command.side}, " if isinstance(command, d.Spool) else ""
        return f"{name} {side}{command.bytes_max} bytes at most"
    if isinstance(command, d.ReadRecord):
        return f"{name} {command.side}, {command.framing} of {command.bytes_max} bytes at most"
    if isinstance(command, d.SendMessage):
        return f"{name} to {command.side} {len(command.data)} bytes"
    if isinstance(command, d.SendTrailers):
        return f"{name} to {command.side} {_names(command.headers)}"
    if isinstance(command, d.Close):
        return f"{name} {command.side} {command.code}"
    if isinstance(command, d.SendHead):
        return f"{name} {command.status}"
    if isinstance(command, d.SendToClient | d.SendToApi):
        return f"{name} {_piece(command)}"
    if isinstance(command, d.Cut):
        return f"{name} {command.side}, {command.how}"
    if isinstance(command, d.Deadline):
        return f"{name} {command.side} {'none' if command.after_s is None else f'{command.after_s:g} s'}"
    if isinstance(command, d.TakeSlot):
        return f"{name} within {command.wait_s:g} s"
    if isinstance(command, d.ReleaseSlot):
        return f"{name} after {command.after_s:g} s"
    if isinstance(command, d.Reply):
        return f"{name} {command.status} {_code(command.body)}".rstrip()
    if isinstance(command, d.Record):
        decision = command.exchange.decision
        findings = ", ".join(map(_finding, decision.findings))
        return f"{name} {command.exchange.status} {decision.verdict}{': ' if findings else ''}{findings}"
    return name


def _piece(piece: d.Chunk | d.SendToClient | d.SendToApi) -> str:
    return f"{len(piece.data)} bytes{', more' if piece.more else ''}"


def _names(headers: tuple[tuple[bytes, bytes], ...]) -> str:
    return ", ".join(name.decode() for name, _ in headers)


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body).get("code", ""))
    except (ValueError, AttributeError):
        return ""


def _finding(finding: Finding) -> str:
    return finding.code if finding.mode == "enforce" else f"{finding.code} ({finding.mode})"
