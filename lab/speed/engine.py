"""Section `engine`: what a decision costs without any server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lab.speed.figures import Advance, Section, quantile
from lab.speed.settings import GET_TARGET, POST_BODY, POST_TARGET, install
from sallygate.engine.problem import problem_body, problem_headers
from sallygate.model.outcome import Admission, Refuse
from sallygate.model.restriction import Restriction
from sallygate.offline.decide import Offline
from sallygate.state.restrictions import Restrictions

ROUNDS = 5
REQUESTS = 20_000
"""A round: half a second for each kind."""
RESTRICTIONS = 1000
STEPS = ROUNDS
GET_US, POST_US = 35.0, 60.0

_HEADERS = (
    (b"host", b"api.example"),
    (b"user-agent", b"python-httpx/0.28"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"accept-language", b"en"),
    (b"cache-control", b"no-cache"),
)


def restrictions() -> Restrictions:
    """Half of them addresses, half prefixes of 24 bits; one covers 192.0.2.66."""
    made = []
    for n in range(RESTRICTIONS):
        scope = ("address", f"10.1.{n // 256}.{n % 256}") if n % 2 else ("prefix", f"10.{n // 256 + 2}.{n % 256}.0/24")
        if n == 1:
            scope = ("address", "192.0.2.66")
        made.append(Restriction(str(n), (scope,), "deny", "measured", "lab", 0.0, 9e12))  # type: ignore[arg-type]
    return Restrictions(made)


class Bench:
    """One gate and the ways of asking it."""

    def __init__(self, directory: Path) -> None:
        installed = install(directory, "injection: {mode: off}\n")  # it has a section of its own
        self.offline = Offline(installed.policy)
        self.offline.state.restrictions = restrictions()
        self.keys = installed.keys
        for _ in range(2):  # the second finds its limit used up
            self.ask("GET", GET_TARGET, "used")

    def ask(self, method: str, target: str, plan: str, body: bytes | None = None, address: str = "192.0.2.7") -> int:
        """One request, head to outcome, with its charges and the headers of its answer. The status."""
        gate, now = self.offline.gate, self.offline.now
        path, _, query = target.partition("?")
        headers = _HEADERS
        if plan:
            headers = (*headers, (b"x-api-key", self.keys[plan].encode()))
        if body is not None:
            headers = (*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
        return self.decide(method, path.encode(), query.encode(), headers, body, address, gate, now)

    def decide(self, method, path, query, headers, body, address, gate, now) -> int:  # type: ignore[no-untyped-def]
        head = gate.reader.read(
            method=method, scheme="https", raw_path=path, raw_query=query, headers=headers, http_version="1.1",
            peer=address, request_id="0" * 32, now=now,
        )  # fmt: skip
        outcome = gate.engine.admit(head, now)
        tables = gate.state.tables
        for charge in outcome.charges:
            tables[charge.table].take(charge.subject, now, charge.amount)
        if type(outcome) is Admission:
            outcome_2 = gate.engine.examine(outcome, head, body)
            if type(outcome_2) is not Refuse:
                [*outcome.headers, *gate.answer_headers, (b"x-request-id", head.request_id.encode())]
                return 200
            outcome = outcome_2
        document = problem_body(outcome.decision, head.request_id)
        problem_headers(document, outcome.headers)
        return int(outcome.decision.status)

    def timed(self, count: int, status: int, method: str, target: str, plan: str, body: bytes | None = None,
              address: str = "192.0.2.7") -> list[float]:  # fmt: skip
        """Microseconds of each of `count` requests, ordered."""
        assert self.ask(method, target, plan, body, address) == status
        path, _, query = target.partition("?")
        headers = _HEADERS + (((b"x-api-key", self.keys[plan].encode()),) if plan else ())
        if body is not None:
            headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
        arguments = (method, path.encode(), query.encode(), headers, body, address, self.offline.gate, self.offline.now)
        clock, decide, spent = time.perf_counter_ns, self.decide, []
        for _ in range(count):
            before = clock()
            decide(*arguments)
            spent.append((clock() - before) / 1000)
        spent.sort()
        return spent


def run(directory: Path, advance: Advance) -> Section:
    bench, section = Bench(directory / "engine"), Section("engine")
    kinds: dict[str, Callable[[], list[float]]] = {
        "GET": lambda: bench.timed(REQUESTS, 200, "GET", GET_TARGET, "wide"),
        "POST": lambda: bench.timed(REQUESTS, 200, "POST", POST_TARGET, "wide", POST_BODY),
        "no key": lambda: bench.timed(REQUESTS // 2, 401, "GET", GET_TARGET, ""),
        "wrong method": lambda: bench.timed(REQUESTS // 2, 405, "PUT", GET_TARGET, ""),
        "over the limit": lambda: bench.timed(REQUESTS // 2, 429, "GET", GET_TARGET, "used"),
        "restricted address": lambda: bench.timed(
            REQUESTS // 2, 403, "GET", GET_TARGET, "wide", address="192.0.2.66"
        ),
    }  # fmt: skip
    spent: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    for number in range(ROUNDS):
        for kind, timed in kinds.items():
            spent[kind].append(timed())
        advance(f"engine, round {number + 1} of {ROUNDS}")

    def at(kind: str, q: float) -> list[float]:
        return [quantile(ordered, q) for ordered in spent[kind]]

    section.add("GET, two query parameters, median", "µs", at("GET", 0.5), GET_US)
    section.add("GET, p99", "µs", at("GET", 0.99))
    section.add("JSON POST, ten fields, median", "µs", at("POST", 0.5), POST_US)
    section.add("JSON POST, p99", "µs", at("POST", 0.99))
    passed = at("GET", 0.5)
    for kind in list(kinds)[2:]:
        shares = [refused / one for refused, one in zip(at(kind, 0.5), passed, strict=True)]
        section.add(f"refusal, {kind}, share of a passed GET", "×", shares, note=f"{at(kind, 0.5)[0]:.1f} µs")
    return section
