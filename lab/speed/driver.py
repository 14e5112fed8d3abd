"""Section `driver`: what commands, events and the generator cost over the same calls made one after another.

python -m lab.speed.driver              as it is
python -m lab.speed.driver --compiled   with the driver's modules compiled by mypyc, in a directory of its own
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.speed.engine import _HEADERS, Bench
from lab.speed.figures import Advance, Section
from lab.speed.settings import GET_TARGET
from sallygate.engine import exchange
from sallygate.engine.answers import common_headers
from sallygate.engine.api_request import api_call
from sallygate.engine.api_slot import ApiSlot, count_shed
from sallygate.engine.response_copy import ResponseCopy
from sallygate.model import driver as d
from sallygate.model.decision import HeaderList
from sallygate.model.event import Location
from sallygate.model.exchange import Exchange
from sallygate.model.outcome import Admission, Inspection, Pass
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead

ROUNDS = 9
REQUESTS = 5_000
STEPS = ROUNDS
PURE_US, COMPILED_US = 8.0, 4.0
MODULES = ("exchange", "request_body", "response", "response_copy", "ledger")
ROOT = Path(__file__).parents[2]
_BODY = b'{"items":[{"id":"a1"},{"id":"a2"}]}'
_ANSWER = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY)))


class _Ports:
    """What the composition root says."""

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        return ((b"x-sallygate-account", b"a"),)

    def traceparent(self, head: RequestHead) -> None:
        return None

    def tick_us(self) -> int:
        return 0

    def failed(self, what: str, error: BaseException) -> None:
        raise error


class Both:
    """One GET with its response, by the driver and by hand."""

    def __init__(self, directory: Path) -> None:
        bench = Bench(directory)
        self.gate, self.now, self.ports = bench.offline.gate, bench.offline.now, _Ports()
        path, _, query = GET_TARGET.partition("?")
        self.head = self.gate.reader.read(
            method="GET", scheme="https", raw_path=path.encode(), raw_query=query.encode(),
            headers=(*_HEADERS, (b"x-api-key", bench.keys["wide"].encode())), http_version="1.1", peer="192.0.2.7",
            request_id="0" * 32, now=self.now,
        )  # fmt: skip

    def driven(self) -> None:
        """By events and commands."""
        now = self.now
        driver = exchange.ExchangeDriver(self.gate, self.head, self.ports, 1.0)
        driver.start()
        driver.feed(d.ResponseHead(now, 1.0, 200, _ANSWER))
        driver.feed(d.Chunk(now, 1.0, "api", _BODY, False))
        (record,) = driver.feed(d.End(now, 1.0))
        assert isinstance(record, d.Record) and record.exchange.status == 200

    def by_hand(self) -> None:
        """The same calls of the engine and changes of the state, and the same values made."""
        gate, head, now, state = self.gate, self.head, self.now, self.gate.state
        engine, shedder, slots = gate.engine, state.shedder, state.slots
        admitted = engine.admit(head, now)
        assert isinstance(admitted, Admission)
        state.charge(admitted.charges, now)
        count_shed(shedder, admitted.decision)
        for slot in admitted.slots:
            slots.take(slot.table, slot.subject)
        passed = engine.examine(admitted, head, None)
        assert isinstance(passed, Pass)
        call = api_call(gate, head, admitted, passed, b"", None, self.ports, now)
        place = ApiSlot.of(engine, shedder, head, admitted, now)
        assert place is not None and call.headers
        place.open()
        place.enter(1.0)
        place.answered(1.0, 200)
        release = engine.release(admitted, head, 200, _ANSWER, now)
        copy = ResponseCopy(release.plan, lambda size: True)
        ours = (*admitted.headers, *release.headers, *common_headers(gate, head))
        names = {name for name, _ in ours if name != b"vary"} | release.drop_headers
        headers = (*[pair for pair in _ANSWER if pair[0] not in names], *ours)
        copy.add(_BODY)
        learned = engine.inspect(admitted, head, d.ResponseHead(now, 1.0, 200, _ANSWER), copy.read(True), now)
        assert isinstance(learned, Inspection) and release.meter is not None and headers
        state.tables[release.meter.table].take(release.meter.subject, now, len(_BODY))
        place.end(1.0, gone=False)
        for slot in admitted.slots:
            slots.give_back(slot.table, slot.subject)
        ids, more = engine.named_ids(admitted, passed.body)
        origin = state.geography.of(head.client_address)
        assert Exchange(
            head, passed.decision, 200, 200, admitted.operation, admitted.principal, admitted.path_values, ids, more, 0,
            len(_BODY), learned, Location(head.client_network, origin.country, origin.asn), admitted.charges, 0, 0, 0,
        )  # fmt: skip


def _us(call: Callable[[], None]) -> float:
    """Microseconds of processor time."""
    before = time.process_time()
    for _ in range(REQUESTS):
        call()
    return (time.process_time() - before) / REQUESTS * 1e6


def run(directory: Path, advance: Advance) -> Section:
    """Alternating rounds of both."""
    compiled = str(exchange.__file__).endswith(".so")
    both, section = Both(directory / "driver"), Section("driver")
    for call in (both.driven, both.by_hand):
        for _ in range(500):
            call()
    driven, by_hand = [], []
    for number in range(ROUNDS):
        driven.append(_us(both.driven))
        by_hand.append(_us(both.by_hand))
        advance(f"driver, round {number + 1} of {ROUNDS}")
    how, target = ("compiled", COMPILED_US) if compiled else ("pure", PURE_US)
    section.add(f"a GET by the driver, {how}", "µs", driven)
    section.add(f"the same calls by hand, {how}", "µs", by_hand)
    over = [one - other for one, other in zip(driven, by_hand, strict=True)]
    section.add(f"the driver over the calls, {how}", "µs", over, target)
    return section


def compile_into(directory: Path) -> Path:
    """A source tree whose driver is compiled."""
    source = directory / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    mypyc = Path(sys.executable).with_name("mypyc")
    modules = [f"sallygate/engine/{name}.py" for name in MODULES]
    subprocess.run([sys.executable, str(mypyc), *modules], cwd=source, check=True, stdout=subprocess.DEVNULL)
    return source


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.speed.driver", description=__doc__)
    parser.add_argument(
        "--compiled", action="store_true", help="compile the driver first; takes a minute and a compiler"
    )
    with tempfile.TemporaryDirectory(prefix="sallygate-lab-") as scratch:
        if parser.parse_args().compiled:
            source = compile_into(Path(scratch))
            command = [sys.executable, "-m", "lab.speed.driver"]
            subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(source)}, check=True)
            return
        for figure in run(Path(scratch), lambda what: None).figures:
            spread = f"{min(figure.values):.1f} to {max(figure.values):.1f}"
            target = f", {figure.better} {figure.target:g}" if figure.target else ""
            print(f"{figure.name}: {statistics.median(figure.values):.1f} {figure.unit} ({spread}{target})")


if __name__ == "__main__":
    main()
