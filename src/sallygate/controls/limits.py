"""How much a caller may have: rates, quotas, requests at once, bytes and records.

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
from zoneinfo import ZoneInfo

from msgspec import Struct

from sallygate.model.decision import HeaderList
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge
from sallygate.policy.schema import Limits, OperationSection, Plan
from sallygate.policy.units import Rate
from sallygate.state.counters import QuotaTable, RateTable, Table, Window
from sallygate.state.state import State

ADDRESS_TABLE = "address"
WINDOW_S: dict[Window, int] = {"hour": 3600, "day": 86400, "month": 2678400}
"""For `RateLimit-Policy` alone; quotas themselves count calendar windows (a month at its longest, 31 days)."""


class Allowed(Struct, frozen=True, gc=False):
    """What the counters say to one request."""

    finding: Finding | None = None
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    held: tuple[tuple[str, str, int], ...] = ()


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

    def admit_address(self, head: RequestHead, now: float) -> Allowed:
        """Before identity, by address or IPv6 /64. Charged to every request, also to those refused later."""
        subject = head.client_network
        finding, wait_s = self.judge_network(subject, now)
        if finding is not None:
            return Allowed(finding, headers=retry_after(wait_s))
        held = ((ADDRESS_TABLE, subject, self._address_concurrent),)
        return Allowed(None, (Charge(ADDRESS_TABLE, subject, 1),), held=held)

    def judge_network(self, network: str, now: float) -> tuple[Finding | None, float]:
        """What refuses one more request from an address or IPv6 /64, and for how many seconds."""
        room = self._address.look(network, now)
        if not room.allowed:
            return _over("limits.address", "This address has sent too many requests.", ADDRESS_TABLE), room.reset_s
        if self._state.slots.count(ADDRESS_TABLE, network) >= self._address_concurrent:
            detail = "This address has too many requests under way."
            return _over("limits.address_concurrent", detail, ADDRESS_TABLE), 1.0
        return None, 0.0

    def admit_principal(
        self, head: RequestHead, principal: Principal | None, operation: Operation | None, now: float
    ) -> Allowed:
        """After identity, by account; and the operation's own rate, by account or by address."""
        name = operation.id if operation is not None else ""
        cost = self._costs.get(name, 1)
        charges: list[Charge] = []
        own = self._operations.get(name)
        if own is not None:
            subject = principal.account if principal is not None else head.client_network
            room = own.look(subject, now, cost)
            if not room.allowed:
                finding = _over("limits.operation", "Too many calls of this operation.", f"operation:{name}")
                return Allowed(finding, headers=retry_after(room.reset_s))
            charges.append(Charge(own.name, subject, cost))
        if principal is None:
            return Allowed(None, tuple(charges))
        return self._admit_plan(self._plans[principal.plan], principal.account, cost, charges, now)

    def _admit_plan(self, plan: _PlanLimits, account: str, cost: int, own: list[Charge], now: float) -> Allowed:
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
            return Allowed(finding, headers=headers + retry_after(wait_s))
        if self._state.slots.count(plan.held, account) >= plan.concurrent:
            finding = _over("limits.concurrent", "Too many requests under way.", plan.held)
            return Allowed(finding, headers=headers + retry_after(1))
        charges = tuple([Charge(name, account, cost) for name in plan.charged])
        return Allowed(None, (*own, *charges), headers, ((plan.held, account, plan.concurrent),))

    def bytes_left(self, principal: Principal | None, now: float) -> int | None:
        """What may still be sent to the caller; None without a budget."""
        table = self._plans[principal.plan].bytes_table if principal is not None else ""
        return self._state.tables[table].look(principal.account, now, 0).remaining if table and principal else None

    def bytes_charges(self, principal: Principal | None, sent_bytes: int) -> tuple[Charge, ...]:
        if principal is None or not sent_bytes or not (table := self._plans[principal.plan].bytes_table):
            return ()
        return (Charge(table, principal.account, sent_bytes),)

    def records_charges(self, principal: Principal | None, records: int | None) -> tuple[Charge, ...]:
        if principal is None or not records or not (table := self._plans[principal.plan].records_table):
            return ()
        return (Charge(table, principal.account, records),)

    def counts_records(self, principal: Principal | None, operation: Operation | None) -> bool:
        if principal is None or operation is None or operation.id not in self.records:
            return False
        return bool(self._plans[principal.plan].records_table)


def _counter(table: Table, code: str, name: str, by_cost: bool) -> _Counter:
    return _Counter(table, code, name, by_cost, f'"{name}";r=')


def _over(code: str, detail: str, rule: str) -> Finding:
    return Finding(code, detail, 429, "throttle", rule=rule, owasp="API4", attack="T1499")


def retry_after(seconds: float) -> HeaderList:
    return ((b"retry-after", str(max(1, ceil(seconds))).encode()),)
