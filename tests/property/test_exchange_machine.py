"""The exchange driver under any order of events that a shell may feed it, legal or odd, with controls that raise: slots are
given back, charges applied once, one event is recorded, and nothing leaves that was refused or cut."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bench import break_phase
from gatehouse import NOW, UNSTORED, House, Request, replace
from sallygate.engine.order import ORDER
from sallygate.model import driver as d
from sallygate.model.decision import Edit
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.request import BodyPlan
from sallygate.model.restriction import Restriction
from sallygate.model.work import ApiAnswered, AskApi, Charge
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.load_shedding import Ticket
from transcript import JSON, UPLOAD, Transcript, add, house, post

NAMED, LARGE = b'{"name":"a"}', b'{"name":"a"%s}' % (b" " * 70_000)
SHEDDING = "shedding: {min: 1, initial: 1, max: 1}"
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"limits": "on_exceed: cut"},
    {"limits": "on_exceed: cut", "modes": {"limits": "shadow", "flood": "shadow", "restrictions": "shadow"}},
    {"limits": "on_exceed: cut, on_error: allow", "flood": f"on_error: allow, {SHEDDING}"},
    {"data": "records: 5/day, bytes: 2000/day", "flood": SHEDDING},
    {"data": "records: 5/day", "contract": "upload: 1KB", "modes": {"limits": "off"}},
    {"contract": "upload: 1KB", "modes": {"flood": "off", "contract": "shadow", "injection": "shadow"}},
)
REQUESTS = (
    Request(key="large"),
    Request(path="/things/1", key="large"),
    Request(key="small", query="limit=5"),
    Request(key="large", query="limit=0"),
    Request(),
    Request(key=UNSTORED),
    Request(path="/status"),
    Request(path="/openapi.json"),
    post(NAMED),
    post(LARGE),
    UPLOAD,
    replace(UPLOAD, headers=(*UPLOAD.headers[:1], (b"content-length", b"300"))),
)
BROKEN = (*[None] * 30, *((row.control, row.phase) for row in ORDER))
SIZES = st.sampled_from([0, 1, 100, 300, 700, 2000, 70_000])
HEADS = st.sampled_from([
    (200, JSON), (200, (b"content-type", b"text/csv")), (204, (b"x", b"y")), (404, JSON), (503, JSON),
])  # fmt: skip
WAITS_S = st.sampled_from([0.0, 0.5, 15.0, 100.0])
ODD = st.sampled_from([False] * 9 + [True])
"""Whether an application does what it must not: a body before its head, a second head, a body after its end."""
WAITING = (d.Work, d.ReadBody, d.Spool, d.Offload, d.TakeSlot, d.CallApi, d.Reply)
MESSAGES = Request(key="large", headers=((b"upgrade", b"websocket"),))
WAYS = ("", "", "hold", "hold", "hold, asks", "records", "spool", "upload records", "upload spool", "asks", "messages")
"""What a control of the tests has done with bodies and responses."""
FOUND = Finding("own.seen", "Seen.", 403)
SAYS: dict[str, Any] = {
    "nothing": lambda at: None,
    "refuses": lambda at: Judgement((FOUND,), charges=(Charge("plan:large:hour", "acme", 1),)),
    "costs": lambda at: Judgement(charges=(Charge("plan:large:hour", "acme", 1),)),
    "edits": lambda at: Judgement(edits=(Edit("body:", b"{}"),)),
    "edits nothing": lambda at: Judgement(edits=(Edit("body:/nothing", None),)),
    "raises": lambda at: 1 / 0,
}


def asks_first(says: Any) -> Any:
    """A control that asks the API before it says."""
    return lambda at: says(at) if at.done else Judgement(work=(AskApi(b"/things/1"),))


def take_part(made: House, way: str, says: Any, mode: Any) -> None:
    """Add the control of the tests, which judges in the phase that its way of reading leads to."""
    mode_of, asks = way.partition(",")[0], "asks" in way
    if mode_of in ("hold", "records", "spool"):
        plan = ResponsePlan(mode_of, bytes_max=1000)  # type: ignore[arg-type]
        add(made, "release", lambda at: Judgement(response=plan), mode)
        add(made, "message" if mode_of == "records" else "inspect", asks_first(says) if asks else says, mode)
    elif mode_of.startswith("upload"):
        body = BodyPlan(mode_of.removeprefix("upload "), bytes_max=1000, record_bytes_max=500)  # type: ignore[arg-type]
        add(made, "plan", lambda at: Judgement(body=body) if at.body_plan.mode == "stream" else None)
        add(made, "message" if "records" in mode_of else "examine", says, mode)
    elif asks:
        add(made, "examine", asks_first(says), mode)
    elif mode_of == "messages":
        made.gate.engine.carries_messages = True
        add(made, "message", says, mode)


class Exchanges(RuleBasedStateMachine):
    """Exchanges one after another over one gate; `told` is the one under way."""

    @initialize(
        own=st.sampled_from(POLICIES), in_memory=st.booleans(), broken=st.sampled_from(BROKEN), busy=st.booleans(),
        request=st.sampled_from(REQUESTS), way=st.sampled_from(WAYS), says=st.sampled_from(sorted(SAYS)),
        mode=st.sampled_from(["enforce", "enforce", "shadow"]),
    )  # fmt: skip
    def compose(self, own: dict[str, Any], in_memory: bool, broken: Any, busy: bool, request: Request, way: str,
                says: str, mode: str) -> None:  # fmt: skip
        self.made, self.way = house(in_memory=in_memory, **own), way
        take_part(self.made, way, SAYS[says], mode)
        self.charged = house(**own).state
        """Where the charges of the events are applied by hand."""
        if broken is not None and self.made.gate.engine.controls.get(broken[0]) is not None:
            break_phase(self.made.gate.engine, *broken)
        shedder = self.made.state.shedder
        shedder.connections = 20
        self.others = [Ticket(0, f"other{number}", "") for number in range(shedder.limit if busy else 0)]
        for other in self.others:
            shedder.open(other)
            shedder.enter(other, 0.0)
        self.restricted = 0
        self._begin(MESSAGES if way == "messages" else UPLOAD if way.startswith("upload") else request)

    def _begin(self, request: Request) -> None:
        self.told, self.called, self.compared = Transcript(self.made, request), False, False
        self.headed = self.whole = self.waits = False
        self._follow(self.told.commands)

    # what is fed -----------------------------------------------------------------------------------------------------

    def _feed(self, kind: type[d.Event], *values: Any, after_s: float = 0.0) -> None:
        self.told.now = NOW  # only the tick goes on: counters that refill could not be compared
        before = len(self.told.commands)
        event = kind(NOW, self.told.tick + after_s, *values)
        self.told.tick += after_s
        self.told.lines.append(f">> {type(event).__name__} {values!r:.60}")
        try:
            self.told._say(self.told.driver.feed(event))
        except RuntimeError as error:  # what an application sent; its own exception ends it
            assert "the application sent" in str(error)
            self.told._say(self.told.driver.feed(d.ApiFailed(NOW, self.told.tick)))
        self._follow(self.told.commands[before:])

    def _follow(self, commands: list[d.Command] | tuple[d.Command, ...]) -> None:
        for command in commands:
            if isinstance(command, d.CallApi):
                self.called = True
            elif isinstance(command, d.ReleaseSlot):
                command.leave(self.told.tick + command.after_s)
            elif isinstance(command, d.TakeSlot):
                self.waits = True

    def _asks(self, kind: type[d.Command]) -> bool:
        """Whether a command of that kind waits for its event."""
        asked = [command for command in self.told.commands if isinstance(command, WAITING)]
        return not self.told.driver.ended and bool(asked) and type(asked[-1]) is kind

    @property
    def live(self) -> bool:
        return self.called and not self.told.driver.ended and not self._asks(d.Reply)

    @precondition(lambda self: self._asks(d.Work))
    @rule(how=st.sampled_from(["done", "failed", "raised"]))
    def work(self, how: str) -> None:
        if how == "raised":
            self._feed(d.WorkFailed, OSError())
            return
        self.made.store_fails = how == "failed"
        items = [item for command in self.told.of(d.Work)[-1:] for item in command.items]
        self._feed(d.WorkDone, tuple([
            ApiAnswered(item, 200, failed=how == "failed") if isinstance(item, AskApi)
            else asyncio.run(self.made.work(item))
            for item in items
        ]))  # fmt: skip

    @precondition(lambda self: self._asks(d.Spool) and (not self.live or self.headed))
    @rule(size=SIZES, outcome=st.sampled_from(["whole", "whole", "cut", "large", "failed"]))
    def spooled(self, size: int, outcome: str) -> None:
        if outcome == "whole":
            self._feed(d.Spooled, io.BytesIO(b"x" * size), size)
        else:
            self._feed(d.BodyRead, b"", outcome)
        self.whole = self.live

    def _by_records(self, side: str) -> bool:
        return any(command.side == side for command in self.told.of(d.ReadRecord))

    @precondition(lambda self: self.live and self.headed)
    @rule()
    def trailers(self) -> None:
        if self.whole:
            self._feed(d.Trailers, "api", ((b"x-sum", b"1"), (b"set-cookie", b"a")))

    @precondition(lambda self: self._asks(d.ReadBody))
    @rule(outcome=st.sampled_from(["whole", "whole", "cut", "large", "slow", "late"]), waited_s=WAITS_S,
          data=st.sampled_from([NAMED, LARGE, b"{", b'{"count":1}']))  # fmt: skip
    def body(self, outcome: str, waited_s: float, data: bytes) -> None:
        self._feed(d.BodyRead, data if outcome == "whole" else b"", outcome, waited_s)

    @precondition(lambda self: self._asks(d.Offload))
    @rule(fails=st.booleans())
    def offloaded(self, fails: bool) -> None:
        if fails:
            self._feed(d.Offloaded, None, MemoryError())
        else:
            self._feed(d.Offloaded, self.told.of(d.Offload)[-1].call())

    @precondition(lambda self: self.waits and not self.told.driver.ended)
    @rule(taken=st.booleans())
    def slot(self, taken: bool) -> None:
        self.waits = False
        if taken:
            for other in self.others:
                self.made.state.shedder.leave(other, self.told.tick)
            self.others = []
        self._feed(d.SlotTaken if taken else d.SlotRefused, after_s=0.1)

    @precondition(lambda self: self._asks(d.Reply))
    @rule()
    def replied(self) -> None:
        self._feed(d.Sent)

    @precondition(lambda self: self.live)
    @rule(size=SIZES, more=st.booleans(), waited_s=WAITS_S)
    def client_sends(self, size: int, more: bool, waited_s: float) -> None:
        if self.told.of(d.Accept):
            self._feed(d.Message, "client", b"x" * size)
        elif not self.waits and self._by_records("client"):
            self._feed(d.RecordRead, "client", b"x" * size if more else None, size > 500, waited_s, after_s=waited_s)
        elif not self.waits:
            self._feed(d.Chunk, "client", b"x" * size, more, waited_s, after_s=waited_s)

    @precondition(lambda self: self.live)
    @rule(head=HEADS, odd=ODD)
    def api_answers(self, head: tuple[int, tuple[bytes, bytes]], odd: bool) -> None:
        if self.headed and not odd:
            return
        self.headed = True
        self._feed(d.ResponseHead, 101 if self.way == "messages" else head[0], (head[1],), after_s=0.1)

    @precondition(lambda self: self.live)
    @rule(size=SIZES, more=st.booleans(), waited_s=WAITS_S, odd=ODD)
    def api_sends(self, size: int, more: bool, waited_s: float, odd: bool) -> None:
        if not odd:
            if not self.headed:
                self.api_answers((200, JSON), False)
            if self.whole:
                return
        if self.told.of(d.Accept):
            self._feed(d.Message, "api", b"x" * size)
            return
        if any(one.side == "api" for one in self.told.of(d.Spool)):
            return
        self.whole = not more
        if self._by_records("api"):
            self._feed(d.RecordRead, "api", b"x" * size if more else None, size > 1000)
            return
        self._feed(d.Chunk, "api", b"[" + b"1," * size + b"1]" if size < 300 else b"x" * size, more)
        if more and self.live and isinstance(self.told.commands[-1], d.SendToClient):
            self._feed(d.Sent, waited_s, after_s=waited_s)

    @precondition(lambda self: self.live)
    @rule(kind=st.sampled_from([d.End, d.ApiFailed]), odd=ODD)
    def api_ends(self, kind: type[d.Event], odd: bool) -> None:
        if self.whole or odd or self.told.of(d.Accept):
            self._feed(kind)

    @precondition(lambda self: self.live and bool(self.told.of(d.Deadline)))
    @rule()
    def expires(self) -> None:
        if not self.waits and self.told.of(d.Deadline)[-1].after_s is not None:
            self._feed(d.Expired, "client", after_s=30.0)

    @precondition(lambda self: self.live)
    @rule()
    def reports(self) -> None:
        self._feed(d.Reported, (Finding("login.wrong", "Wrong.", 401),))

    @precondition(lambda self: not self.told.driver.ended)
    @rule(leaves=ODD)
    def client_leaves(self, leaves: bool) -> None:
        if not leaves:
            return
        self.waits = False
        self._feed(d.ClientGone)

    @precondition(lambda self: not self.told.driver.ended)
    @rule(act=st.sampled_from(["terminate", "deny", None]), told=st.booleans())
    def restrict(self, act: Any, told: bool) -> None:
        if act is not None:
            self.restricted += 1
            scope = (("account", "acme"),)
            one = Restriction(f"r{self.restricted}", scope, act, "test", "me", 0.0, NOW + 1e6, "")
            add_restrictions(self.made.state, [one], NOW)
        if told:
            self._feed(d.Interrupted)

    @precondition(lambda self: not self.told.driver.ended)
    @rule(closes=ODD)
    def close(self, closes: bool) -> None:
        if not closes:
            return
        before = len(self.told.commands)
        self.told.close()
        self._follow(self.told.commands[before:])

    @precondition(lambda self: self.told.driver.ended)
    @rule(request=st.sampled_from(REQUESTS), late=st.sampled_from([None, d.End, d.ClientGone, d.ApiFailed]))
    def again(self, request: Request, late: type[d.Event] | None) -> None:
        if late is not None:
            assert self.told.feed(late) == () and self.told.close() == ()
        self._begin(request)

    def teardown(self) -> None:
        if hasattr(self, "told") and not self.told.driver.ended:
            self.close(True)
            self.one_event()
            self.all_is_given_back()
            self.charges_are_applied_once()

    # what holds ------------------------------------------------------------------------------------------------------

    @invariant()
    def one_event(self) -> None:
        if hasattr(self, "told"):
            assert len(self.told.of(d.Record)) == self.told.driver.ended

    @invariant()
    def what_is_refused_goes_nowhere(self) -> None:
        if not hasattr(self, "told"):
            return
        names = [type(command).__name__ for command in self.told.commands]
        counted = Counter(names)
        assert counted["CallApi"] <= 1 and counted["SendHead"] + counted["Reply"] + counted["Accept"] <= 1
        out = {"CallApi", "SendHead", "SendToClient", "SendToApi", "SendSpool", "SendTrailers", "SendMessage", "Accept"}
        if "Reply" in names:
            # What a response is refused for, its request may still be sent to its end.
            held = {"SendToApi"} if "CallApi" in names else set()
            assert not (out - held) & set(names[names.index("Reply") :])
        if "Close" in names and self.told.of(d.Close)[0].code == 1008:
            assert not out & set(names[names.index("Close") :])
        if "HoldHead" in names and "SendHead" in names:
            assert names.index("HoldHead") < names.index("SendHead") and "Reply" not in names
        cuts = [number for number, one in enumerate(self.told.commands) if isinstance(one, d.Cut)]
        for number in cuts:
            after = self.told.commands[number + 1 :]
            kind = d.SendToClient if self.told.commands[number].side == "client" else d.SendToApi  # type: ignore[union-attr]
            assert not any(isinstance(one, kind) for one in after)
        ends = [number for number, one in enumerate(self.told.commands)
                if isinstance(one, d.SendToClient) and not one.more]  # fmt: skip
        assert not ends or not any(isinstance(one, d.SendToClient) for one in self.told.commands[ends[0] + 1 :])

    @invariant()
    def all_is_given_back(self) -> None:
        if not hasattr(self, "told") or not self.told.driver.ended:
            return
        state, others = self.made.state, len(self.others)
        assert not state.slots._taken and not self.told.driver._ledger.reserved
        shedder = state.shedder
        assert (shedder.under_way, sum(shedder._open), sum(shedder.waiting)) == (others, others, 0)

    @invariant()
    def charges_are_applied_once(self) -> None:
        if not hasattr(self, "told") or not self.told.driver.ended or self.compared:
            return
        self.compared = True
        self.charged.charge(self.told.record.charges, NOW)
        rows, wanted = ({name: sorted(map(table.row, table.subjects())) for name, table in state.tables.items()}
                        for state in (self.made.state, self.charged))  # fmt: skip
        assert rows == wanted

    @invariant()
    def the_event_says_what_the_client_got(self) -> None:
        if not hasattr(self, "told") or not self.told.driver.ended:
            return
        record, replies = self.told.record, self.told.of(d.Reply)
        sent = sum(len(command.data) for command in self.told.of(d.SendToClient))
        sent += sum(len(one.data) for one in self.told.of(d.SendMessage) if one.side == "client")
        sent += sum(len(command.file.getvalue()) for command in self.told.of(d.SendSpool))
        sent += sum(len(name) + len(value) for one in self.told.of(d.SendTrailers) for name, value in one.headers)
        if replies:
            assert record.status == replies[0].status
        elif self.told.of(d.SendHead):
            assert record.response_bytes == sent
            whole = any(not command.more for command in self.told.of(d.SendToClient)) or bool(self.told.of(d.SendSpool))
            assert record.status == (self.told.of(d.SendHead)[0].status if whole else record.status)
            assert whole or record.status in (499, 599)
        elif self.told.of(d.Accept):
            assert record.response_bytes == sent and record.status in (101, 499, 599)
        else:
            assert record.status in (499, 500, 599) and not sent
        cut = [
            number for number, one in enumerate(self.told.commands)
            if (isinstance(one, d.Cut) and one.side == "client") or (isinstance(one, d.Close) and one.code == 1008)
        ]  # fmt: skip
        recorded = next(number for number, one in enumerate(self.told.commands) if isinstance(one, d.Record))
        if (replies and record.status != 200) or any(number < recorded for number in cut):
            assert record.decision.verdict != "allow", "refused or cut, and the event says why"


TestExchanges = Exchanges.TestCase
TestExchanges.settings = settings(
    max_examples=400, stateful_step_count=30, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip
