"""Control of limits: rates, quotas, concurrent requests, bytes and records of a caller.

Threat: floods by one caller, scraping, and bills (OWASP API4). Evidence: `limits.address`, `limits.rate`,
`limits.operation`, `limits.quota.hour|day|month`, `limits.data.bytes|records`, `limits.concurrent`, each 429 with
`RateLimit`, `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) and `Retry-After`.
Known bypasses: many accounts are many allowances; many addresses too, until the flood controls look at them together.
Cost: 0.3 µs a counter, 2 µs the headers.

A request is charged once it has passed its counters, whatever refuses it afterwards; one refused by a counter is not
charged to it, so that a caller slightly too fast gets its rate, not nothing.
"""

from __future__ import annotations

from math import ceil
from typing import ClassVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from sallygate.model.control import Phase
from sallygate.model.decision import retry_after
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Facts, Judgement, Meter, ResponsePlan, Slot
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge
from sallygate.parsing.http.media_types import is_readable_json, media_and_coding
from sallygate.parsing.identifiers import count_records, most_records
from sallygate.policy.schema import Limits, OperationSection, Plan
from sallygate.policy.units import Rate
from sallygate.state.bounded_table import Table
from sallygate.state.counters import QuotaTable, RateTable, Window
from sallygate.state.parts import Parts
from sallygate.state.state import State

ADDRESS_TABLE = "address"
RECORDS_READ_BYTES_MAX = 32 << 20
"""Of a response whose records are counted. A larger one costs the whole rest of the budget."""
UNCOUNTED = 1 << 30
"""What a response too large or too garbled to count is charged: more than any budget has left."""
WINDOW_S: dict[Window, int] = {"hour": 3600, "day": 86400, "month": 2678400}
"""For `RateLimit-Policy` alone; quotas themselves count calendar windows (a month at its longest, 31 days)."""


class _Counter(Struct, frozen=True):
    table: Table
    code: str
    name: str
    by_cost: bool
    label: str
    """How its item in `RateLimit` begins."""


class _PlanLimits(Struct, frozen=True):
    counters: tuple[_Counter, ...]
    charged: tuple[str, ...]
    """Tables a request costs."""
    bytes_table: str
    records_table: str
    concurrent: int
    held: str
    policy_header: bytes


class LimitsControl:
    """How much a caller may have."""

    name: ClassVar = "limits"
    section: ClassVar = "limits"

    def __init__(
        self,
        section: Limits,
        plans: dict[str, Plan],
        operations: dict[str, OperationSection],
        state: State,
        now: float,
    ) -> None:
        self._state = state
        self._zone = ZoneInfo(section.time_zone)
        self.cut = section.on_exceed == "cut"
        self._now = now
        self._address = self._rate(ADDRESS_TABLE, section.address)
        self._address_concurrent = section.address_concurrent
        self._plans = {name: self._compile(name, plan) for name, plan in plans.items()}
        self._costs = {name: section.cost for name, section in operations.items() if section.cost != 1}
        self._operations = {
            name: self._rate(f"operation:{name}", section.rate) for name, section in operations.items() if section.rate
        }
        self.records = {name: section.records for name, section in operations.items() if section.records is not None}
        """JSON pointer of the counted array, by operation."""

    def _rate(self, name: str, rate: Rate) -> Table:
        return self._state.table(RateTable(name, rate.per_s, rate.burst), self._now)

    def _quota(self, name: str, most: int, window: Window) -> Table:
        return self._state.table(QuotaTable(name, most, window, self._zone), self._now)

    def _compile(self, name: str, plan: Plan) -> _PlanLimits:
        prefix = f"plan:{name}:"
        counters = [_counter(self._rate(prefix + "rate", plan.rate), "limits.rate", "rate", True)]
        described = [f'"rate";q={plan.rate.burst};w={max(1, ceil(plan.rate.burst / plan.rate.per_s))}']
        windows: tuple[Window, ...] = ("hour", "day", "month")
        for window in windows:
            most = getattr(plan.quota, window)
            if most is not None:
                table = self._quota(prefix + window, most, window)
                counters.append(_counter(table, f"limits.quota.{window}", window, True))
                described.append(f'"{window}";q={most};w={WINDOW_S[window]}')
        data_tables = {"bytes": "", "records": ""}
        for kind, unit in (("bytes", "content-bytes"), ("records", "records")):
            budget = getattr(plan.data, kind)
            if budget is not None:
                data_tables[kind] = prefix + kind
                table = self._quota(prefix + kind, budget.most, budget.window)
                counters.append(_counter(table, f"limits.data.{kind}", kind, False))
                described.append(f'"{kind}";q={budget.most};w={WINDOW_S[budget.window]};qu="{unit}"')
        return _PlanLimits(
            tuple(counters),
            tuple(counter.table.name for counter in counters if counter.by_cost),
            data_tables["bytes"],
            data_tables["records"],
            plan.concurrent,
            prefix + "concurrent",
            ", ".join(described).encode(),
        )

    @classmethod
    def build(cls, parts: Parts) -> LimitsControl:
        """The control of a policy."""
        section, loaded = parts.sections[cls.section], parts.loaded
        assert isinstance(section, Limits)
        return cls(section, loaded.plans, loaded.policy.operations, parts.state, parts.now)

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """To all requests and responses; responses are read where their records are counted."""
        return phase != "inspect" or (operation is not None and operation.id in self.records)

    def idle(self, limited: bool) -> bool:
        """Until one of its limits has refused somebody."""
        return not limited

    def early(self, request: EarlyRequest) -> Judgement | None:
        """Finding that refuses further requests from an address, for every caller there."""
        if request.client is None:
            return None
        finding, wait_s = self.judge_network(request.client[1], request.now)
        return Judgement((finding,), headers=retry_after(wait_s)) if finding is not None else None

    def address(self, evaluation: Evaluation) -> Judgement:
        """Before identity, by address or IPv6 /64. Charged to every request, also to those refused later."""
        subject = evaluation.head.client_network
        finding, wait_s = self.judge_network(subject, evaluation.now)
        if finding is not None:
            return Judgement((finding,), headers=retry_after(wait_s))
        slot = Slot(ADDRESS_TABLE, subject, self._address_concurrent)
        return Judgement(charges=(Charge(ADDRESS_TABLE, subject, 1),), slots=(slot,))

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """After identity, by account; and the operation's own rate, by account or by address."""
        return self.judge_caller(evaluation.head, evaluation.principal, evaluation.operation, evaluation.now)

    def release(self, evaluation: Evaluation) -> Judgement | None:
        """What the response is charged to as it leaves, and whether its records can be counted."""
        principal, operation, status = evaluation.principal, evaluation.operation, evaluation.status
        meter = self._meter(principal)
        counted = self.counts_records(principal, operation)
        if counted and 200 <= status < 300 and status != 204:
            media, coding = media_and_coding(evaluation.response_headers)
            if not is_readable_json(media, coding):
                # Records in a form that cannot be counted (`Accept: text/csv`) must not leave uncounted.
                rule = (coding or media).decode("latin-1")
                finding = Finding(
                    "limits.uncountable", "The records of the response cannot be counted.", 502, rule=rule, owasp="API4"
                )
                return Judgement((finding,), meter=meter)
        plan = ResponsePlan(copy_bytes_max=RECORDS_READ_BYTES_MAX) if counted else None
        return Judgement(meter=meter, response=plan) if meter is not None or plan is not None else None

    def _meter(self, principal: Principal | None) -> Meter | None:
        if principal is None or not (table := self._plans[principal.plan].bytes_table):
            return None
        over = None
        if self.cut:
            detail = "The response goes over the plan's data budget."
            over = Finding("limits.data.bytes", detail, 429, "terminate", rule=table, owasp="API4", attack="T1499")
        return Meter(table, principal.account, over)

    def inspect(self, evaluation: Evaluation) -> Judgement | None:
        """How many records left, and what they cost."""
        operation, tree = evaluation.operation, evaluation.tree
        if operation is None or operation.id not in self.records or evaluation.status >= 300:
            return None
        records = count_records(tree, self.records[operation.id]) if tree is not None else None
        if self.counts_records(evaluation.principal, operation) and evaluation.unread:
            records = most_records(evaluation.partial) if evaluation.partial else UNCOUNTED
        charges = self.records_charges(evaluation.principal, records)
        return Judgement(charges=charges, facts=Facts(None if records == UNCOUNTED else records))

    def judge_network(self, network: str, now: float) -> tuple[Finding | None, float]:
        """What refuses one more request from an address or IPv6 /64, and for how many seconds."""
        room = self._address.look(network, now)
        if not room.allowed:
            return _over("limits.address", "This address has sent too many requests.", ADDRESS_TABLE), room.reset_s
        if self._state.slots.count(ADDRESS_TABLE, network) >= self._address_concurrent:
            detail = "This address has too many requests under way."
            return _over("limits.address_concurrent", detail, ADDRESS_TABLE), 1.0
        return None, 0.0

    def judge_caller(
        self, head: RequestHead, principal: Principal | None, operation: Operation | None, now: float
    ) -> Judgement | None:
        """What the counters say to one request."""
        name = operation.id if operation is not None else ""
        cost = self._costs.get(name, 1)
        charges: list[Charge] = []
        own = self._operations.get(name)
        if own is not None:
            subject = principal.account if principal is not None else head.client_network
            room = own.look(subject, now, cost)
            if not room.allowed:
                finding = _over("limits.operation", "Too many calls of this operation.", f"operation:{name}")
                return Judgement((finding,), headers=retry_after(room.reset_s))
            charges.append(Charge(own.name, subject, cost))
        if principal is None:
            return Judgement(charges=tuple(charges)) if charges else None
        return self._admit_plan(self._plans[principal.plan], principal.account, cost, charges, now)

    def _admit_plan(self, plan: _PlanLimits, account: str, cost: int, own: list[Charge], now: float) -> Judgement:
        said: list[str] = []
        over: _Counter | None = None
        wait_s = 0.0
        for counter in plan.counters:
            room = counter.table.look(account, now, cost if counter.by_cost else 1)
            if not room.allowed and room.reset_s > wait_s:
                over, wait_s = counter, room.reset_s
            said.append(f"{counter.label}{room.remaining};t={ceil(room.reset_s)}")
        headers = ((b"ratelimit-policy", plan.policy_header), (b"ratelimit", ", ".join(said).encode()))
        if over is not None:
            finding = _over(over.code, f"The plan's limit ({over.name}) is used up.", over.table.name)
            return Judgement((finding,), headers=headers + retry_after(wait_s))
        if self._state.slots.count(plan.held, account) >= plan.concurrent:
            finding = _over("limits.concurrent", "Too many requests under way.", plan.held)
            return Judgement((finding,), headers=headers + retry_after(1))
        charges = tuple([Charge(name, account, cost) for name in plan.charged])
        slot = Slot(plan.held, account, plan.concurrent)
        return Judgement(charges=(*own, *charges), headers=headers, slots=(slot,))

    def bytes_left(self, principal: Principal | None, now: float) -> int | None:
        """What may still be sent to the caller; None without a budget."""
        table = self._plans[principal.plan].bytes_table if principal is not None else ""
        return self._state.tables[table].look(principal.account, now, 0).remaining if table and principal else None

    def bytes_charges(self, principal: Principal | None, sent_bytes: int) -> tuple[Charge, ...]:
        """Charge of response bytes against the plan's data budget; none without a principal or budget."""
        if principal is None or not sent_bytes or not (table := self._plans[principal.plan].bytes_table):
            return ()
        return (Charge(table, principal.account, sent_bytes),)

    def records_charges(self, principal: Principal | None, records: int | None) -> tuple[Charge, ...]:
        """Charge of response records against the plan's data budget; none without a principal or budget."""
        if principal is None or not records or not (table := self._plans[principal.plan].records_table):
            return ()
        return (Charge(table, principal.account, records),)

    def counts_records(self, principal: Principal | None, operation: Operation | None) -> bool:
        """Whether the records of an operation's response are charged to the principal's plan."""
        if principal is None or operation is None or operation.id not in self.records:
            return False
        return bool(self._plans[principal.plan].records_table)


def _counter(table: Table, code: str, name: str, by_cost: bool) -> _Counter:
    return _Counter(table, code, name, by_cost, f'"{name}";r=')


def _over(code: str, detail: str, rule: str) -> Finding:
    return Finding(code, detail, 429, "throttle", rule=rule, owasp="API4", attack="T1499")
