"""Section `feeds`: a million indicators of threat intelligence, compiled, loaded, looked up; and what they take.

The addresses are drawn at random (a fixed seed), of IPv4 alone and half of IPv6. A look-up is of an address nobody named,
drawn alike, which is what nearly every caller is; or of one that is named. Beside it, for scale, a dictionary of the same
addresses, which knows no prefixes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.speed.figures import Advance, Section
from sallygate.parsing.addresses import Address, parse_address
from sallygate.parsing.indicators import Settings
from sallygate.parsing.indicators.blocks import block_text
from sallygate.services.feeds.cache import Kept
from sallygate.services.feeds.schedule import run as run_work
from sallygate.services.feeds.task import Task
from sallygate.state.feeds import Feed, Feeds

INDICATORS = 1_000_000
LOOKED_UP = 20_000
ROUNDS = 5
STEPS = 2 * (ROUNDS + 1)
LOOKUP_US, MEMORY_MB, LOAD_S, COMPILE_S = 1.0, 32.0, 5.0, 60.0
SEED = 6


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("feeds"), directory / "feeds"
    for name, six in (("IPv4", 0.0), ("half IPv6", 0.5)):
        _measure(section, directory / name.replace(" ", "-"), name, six, advance)
    return section


def _addresses(chance: random.Random, six: float) -> Iterator[tuple[int, int]]:
    """(bits, number). Those of IPv6 are in 5,000 networks of providers."""
    while True:
        if chance.random() < six:
            yield 128, (0x2A00_0000 + chance.randrange(5000)) << 96 | chance.getrandbits(96)
        else:
            yield 32, chance.randrange(11 << 24, 100 << 24)


def _measure(section: Section, directory: Path, name: str, six: float, advance: Advance) -> None:
    directory.mkdir(parents=True)
    chance = random.Random(SEED)
    source = _addresses(chance, six)
    named = list(dict.fromkeys(next(source) for _ in range(INDICATORS)))
    file = directory / "list.txt"
    file.write_text("".join(f"{block_text(bits, number, bits)}\n" for bits, number in named))
    key, now = os.urandom(32), time.time()
    task = Task("lab", "file", str(file), "lab", str(directory), [key.hex()], now, Settings(), "plain")
    began = time.perf_counter()
    done = run_work(task)
    compile_s = time.perf_counter() - began
    assert done.about is not None, done.said
    kept = Kept(directory, (key,))
    kept.take_over(Path(done.compiled), None, now)
    section.add(f"{name}: fetched, read and compiled, in a process of its own", "s", [compile_s], COMPILE_S)
    advance(f"feeds, {name}, compiled")
    load_s: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        compiled = kept.load()
        load_s.append(time.perf_counter() - began)
    section.add(f"{name}: loaded from the compiled file", "s", load_s, LOAD_S)
    arrays = sum(len(one) * one.itemsize for table in compiled.tables.values() for one in table.arrays()) / 1e6
    section.add(f"{name}: arrays of {done.about.indicators:,} indicators", "MB", [arrays], MEMORY_MB)
    command = [sys.executable, "-m", "lab.speed.feeds", str(directory), key.hex()]
    resident = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    section.add(f"{name}: what a process grows by when it loads them", "MB", [resident], MEMORY_MB)
    feeds = Feeds()
    feeds.put(Feed("lab", compiled, now, 86400.0))
    dictionary = dict.fromkeys(number for _, number in named)
    unnamed = [_address(*next(source)) for _ in range(LOOKED_UP)]
    hits = [_address(*one) for one in chance.sample(named, LOOKED_UP)]
    table = compiled.tables[32]
    four = [one for one in hits if one.bits == 32]
    figures: dict[str, list[float]] = {"unnamed": [], "entry": [], "named": [], "dictionary": []}
    for number in range(ROUNDS):
        figures["unnamed"].append(_each_us(lambda one: feeds.find(one, now), unnamed))
        figures["entry"].append(_each_us(lambda one: table.innermost(one.number), four))
        figures["named"].append(_each_us(lambda one: feeds.find(one, now), hits))
        figures["dictionary"].append(_each_us(lambda one: dictionary.get(one.number, False), unnamed))
        advance(f"feeds, {name}, round {number + 1} of {ROUNDS}")
    assert all(feeds.find(one, now) for one in hits)
    section.add(f"{name}: look-up of an address nobody named", "µs", figures["unnamed"], LOOKUP_US)
    section.add(f"{name}: entry of an IPv4 address that is named", "µs", figures["entry"])
    section.add(f"{name}: all that a feed says of it, its terms and age weighed", "µs", figures["named"])
    section.add(f"{name}: the same in a dictionary", "µs", figures["dictionary"])


def _address(bits: int, number: int) -> Address:
    found = parse_address(block_text(bits, number, bits))
    assert found is not None
    return found


def _each_us(look: Callable[[Address], object], addresses: list[Address]) -> float:
    """Processor time of each, the loop's own taken off."""
    began = time.process_time_ns()
    for one in addresses:
        look(one)
    spent = time.process_time_ns() - began
    began = time.process_time_ns()
    for _ in addresses:
        pass
    return (spent - (time.process_time_ns() - began)) / len(addresses) / 1000


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _grown_mb(directory: Path, key: bytes) -> float:
    """In a process that has done nothing else."""
    before = _resident_mb()
    compiled = Kept(directory, (key,)).load()
    return _resident_mb() - before if compiled.tables else 0.0


if __name__ == "__main__":
    print(_grown_mb(Path(sys.argv[1]), bytes.fromhex(sys.argv[2])))
