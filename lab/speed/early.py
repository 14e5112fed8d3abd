"""Section `early`: the cost to look up the location of an address, and to reject a denied location early: in the engine,
and on the wire over TLS, on kept connections and with a handshake each.

Refusals a second and core are the reciprocal of the gateway's processor time for one, all of its threads counted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

from lab.speed import servers
from lab.speed.engine import Bench, restrictions
from lab.speed.figures import Advance, Section, quantile
from lab.speed.settings import GET_TARGET, install
from sallygate.offline.decide import Offline
from sallygate.services.network_files import geography_of, packaged_database

ROUNDS = 5
DECISIONS = 20_000
SECONDS = 2
STEPS = 3 * ROUNDS
ENGINE_US, KEPT_PER_S, HANDSHAKE_PER_S, GEOGRAPHY_US = 12.0, 20_000.0, 3_500.0, 2.0
LOOKED_UP = 50_000
LISTED = 10_000
"""Prefixes of the policy's deny list."""
MATCH = "192.0.2.66"


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("early"), directory / "early"
    _geography(section, advance)
    _engine(section, directory / "engine", advance)
    _wire(section, directory / "wire", advance)
    return section


def _geography(section: Section, advance: Advance) -> None:
    """Addresses that were never asked about, in the database that comes with the package; and each asked about twice, as
    by a caller of two requests."""
    database, chance, spent, twice, found = packaged_database(), random.Random(6), [], [], 0
    for number in range(ROUNDS):
        geography = geography_of([database])
        addresses = [str(IPv4Address(chance.randrange(1 << 24, 224 << 24))) for _ in range(LOOKED_UP)]
        before = time.perf_counter()
        for address in addresses:
            geography.of(address)
        spent.append((time.perf_counter() - before) / LOOKED_UP * 1e6)
        for address in addresses:
            geography.of(address)
        twice.append((time.perf_counter() - before) / (2 * LOOKED_UP) * 1e6)
        found += sum(1 for address in addresses if geography.of(address).country)
        advance(f"early, geography, round {number + 1} of {ROUNDS}")
    assert found > ROUNDS * LOOKED_UP / 2
    section.add("country and network of a new address", "µs", spent)
    section.add("the same, amortised over two requests of each", "µs", twice, GEOGRAPHY_US)


def _listed(directory: Path, wanted: str) -> str:
    """A policy's section with a list of `LISTED` prefixes, and `wanted`."""
    directory.mkdir(parents=True)
    lines = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(LISTED)]
    (directory / "denied.txt").write_text("\n".join([*lines, wanted]) + "\n")
    return "network: {deny: [{file: denied.txt}], countries: {deny: [AQ]}}\ninjection: {mode: off}\n"


def _engine(section: Section, directory: Path, advance: Advance) -> None:
    more = _listed(directory, "192.0.2.77")
    bench = Bench(directory / "restricted")
    bench.offline.state.restrictions = restrictions()
    listed = Bench.__new__(Bench)
    installed = install(directory, more)
    listed.offline, listed.keys = Offline(installed.policy), installed.keys
    spent: dict[str, list[float]] = {}
    kinds: dict[str, tuple[Bench, str]] = {
        "an address restricted, 1,000 in force": (bench, MATCH),
        f"an address listed among {LISTED:,}": (listed, "192.0.2.77"),
    }
    for number in range(ROUNDS):
        for kind, (one, address) in kinds.items():
            spent.setdefault(kind, []).append(_admit_us(one, address))
        advance(f"early, engine, round {number + 1} of {ROUNDS}")
    for kind, values in spent.items():
        section.add(f"refusal of {kind}, in the engine", "µs", values, ENGINE_US)


def _admit_us(bench: Bench, address: str) -> float:
    """Median of `Engine.admit` for a head that was read."""
    gate, now = bench.offline.gate, bench.offline.now
    path, _, query = GET_TARGET.partition("?")
    head = gate.reader.read(
        method="GET", scheme="https", raw_path=path.encode(), raw_query=query.encode(),
        headers=((b"host", b"a"), (b"x-api-key", bench.keys["wide"].encode())), http_version="1.1", peer=address,
        request_id="0" * 32, now=now,
    )  # fmt: skip
    assert gate.engine.admit(head, now).decision.status == 403
    admit: Callable[..., object] = gate.engine.admit
    spent = []
    for _ in range(DECISIONS):
        before = time.perf_counter_ns()
        admit(head, now)
        spent.append((time.perf_counter_ns() - before) / 1000)
    return quantile(sorted(spent), 0.5)


def _wire(section: Section, directory: Path, advance: Advance) -> None:
    more = _listed(directory, "127.0.0.1")
    port = servers.free_port()
    installed = install(directory, f"{more}upstream: http://127.0.0.1:9\nlisten: {{https: 127.0.0.1:{port}}}\n")
    kept = servers.Shot(GET_TARGET, {"X-API-Key": installed.keys["wide"]}, 403)
    once = servers.Shot(GET_TARGET, {"X-API-Key": installed.keys["wide"], "Connection": "close"}, 403)
    spent: dict[str, list[float]] = {"kept": [], "once": []}
    with ExitStack() as stack:
        gate = stack.enter_context(servers.gateway(installed.policy, port, directory / "log"))
        for number in range(ROUNDS):
            for kind, shot in (("kept", kept), ("once", once)):
                us, _ = servers.cpu_us_each(gate, shot, SECONDS, directory)
                spent[kind].append(1e6 / us)
            advance(f"early, wire, round {number + 1} of {ROUNDS}")
    section.add("refusals on kept connections", "/s and core", spent["kept"], KEPT_PER_S, better="at least")
    section.add("refusals with a TLS handshake each", "/s and core", spent["once"], HANDSHAKE_PER_S, better="at least")
