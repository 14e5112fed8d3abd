"""Section `logins`: whether others feel a flood of wrong logins, whether the owner still gets in, and whether the time an
answer takes tells that an account exists.

The flood comes through a trusted hop, so that its addresses can be invented: a third of it guesses one account from many
addresses, a third many accounts from one address, a third many accounts from many addresses. The owner logs in every two
seconds from where it logged in before, with nothing remembered, so that each time costs a hash.

Times are taken by an attacker on the same machine, on kept-alive connections: nearer than any real one gets. It knows the
best threshold of the very sample it is judged by; that favours it.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import random
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from math import sqrt
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

from lab.speed import servers
from lab.speed.figures import Advance, Section, quantile
from lab.speed.gateway import _upstream
from lab.speed.settings import GET_TARGET, Installed, install
from sallygate.admin.accounts import Accounts
from sallygate.auth.oauth import CODE_GRANT
from sallygate.security import passwords
from sallygate.stores.sqlite.store import SqliteStore

FLOOD_PER_S, FLOOD_S, OTHERS_PER_S = 200, 30, 100
PAIRS, WORKERS = 2000, 4
PAIRS_UNEVEN = 200
PAIRS_ASKING = 400
"""Twice as many codes wait to be made at once: below what may wait."""
ACCOUNTS = 40
"""Half with a hash of the profile's, half with one brought along."""
OWNER_EVERY_S = 2.0
RATIO, OWNER_S, TELLS = 2.0, 2.0, 55.0
STEPS = 5
RIGHT = "correct horse battery staple"


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("logins"), directory / "logins"
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        upstream = _upstream(section, directory, stack)
        installed, port = _installed(directory / "flood", upstream, "remember: 0s", "")
        with _gate(installed, port, directory / "flood.log"):
            flood = _Flood(installed, port)
            asyncio.run(flood.run())
        _tell_flood(section, flood)
        advance("logins, a flood")
        for every, pairs in (("500ms", PAIRS), ("50ms", PAIRS_UNEVEN)):
            wide = "overall: 100000/s burst 100000, accounts_per_address: 100000/s burst 100000, " + ", ".join(
                f"{name}: {{free: 1000, delay: 1ms, delay_max: 1ms, forgive: 1ms}}"
                for name in ("account", "place", "address")
            )
            installed, port = _installed(directory / every, upstream, "remember: 0s", f"{wide}, answer_every: {every}")
            with _gate(installed, port, directory / f"{every}.log"):
                there, nobody = _times(installed, port, pairs, _login)
            tells, held_out = _best_threshold(there, nobody)
            target = TELLS if every == "500ms" else None
            note = "; ".join((
                f"a threshold found in one half tells {held_out[0]:.1f} % of the other, 95 % within {held_out[1]:.1f} to "
                f"{held_out[2]:.1f} %",
                f"medians {quantile(sorted(there), 0.5) * 1000:.2f} and {quantile(sorted(nobody), 0.5) * 1000:.2f} ms",
            ))  # fmt: skip
            section.add(f"existence told by the best threshold, {pairs} pairs, answers every {every}", "%", [tells],
                        target, note=note)  # fmt: skip
            section.notes.append(f"Answers every {every}: {note}.")
            advance(f"logins, times of answers every {every}")
        _tell_codes(section, directory / "codes", upstream)
        advance("logins, times of codes")
        section.add("a hash of the profile", "ms", [_hash_ms() for _ in range(5)])
        advance("logins, a hash")
    return section


def _installed(directory: Path, upstream: int, basic: str, logins: str) -> tuple[Installed, int]:
    port = servers.free_port()
    installed = install(directory)
    text = installed.policy.read_text().replace(
        "identity: {api_keys: {header: X-API-Key}}",
        f"identity: {{api_keys: {{header: X-API-Key}}, basic: {{{basic}}}}}\naccounts: {{logins: {{{logins}}}}}",
    )
    text += f"upstream: http://127.0.0.1:{upstream}\nlisten: {{https: 127.0.0.1:{port}}}\n"
    text += "transport: {trusted_hops: [127.0.0.1]}\nlog: {requests: none}\n"
    installed.policy.write_text(text)
    store = SqliteStore(installed.state / "sallygate.db")
    accounts = Accounts(store, "lab")
    imported = passwords.bcrypt.hashpw(RIGHT.encode(), passwords.bcrypt.gensalt(10)).decode()
    accounts.create("owner", "wide", password=RIGHT)
    for number in range(ACCOUNTS):
        if number % 2:
            accounts.create(f"user{number}", "wide", contact="user@example.org", password=RIGHT)
        else:
            accounts.create(f"user{number}", "wide", contact="user@example.org", imported=imported)
    store.close()
    return installed, port


def _gate(installed: Installed, port: int, log: Path) -> AbstractContextManager[servers.Server]:
    command = [sys.executable, "-m", "sallygate", "up", str(installed.policy)]
    return servers.running("gateway", command, f"https://127.0.0.1:{port}", log)


def _authorization(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def _context(installed: Installed) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(installed.state / "certificates" / "ca.pem"))


# the flood ------------------------------------------------------------------------------------------------------------


class _Flood:
    def __init__(self, installed: Installed, port: int) -> None:
        self._url = f"https://127.0.0.1:{port}{GET_TARGET}"
        self._context, self._key = _context(installed), installed.keys["wide"]
        self.statuses: Counter[int] = Counter()
        self.before: list[float] = []
        self.during: list[float] = []
        self.owner: list[tuple[int, float]] = []

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            await self._login(client)  # where the owner is at home
            self.owner.clear()
            await self._others(client, 10.0, self.before)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._others(client, FLOOD_S, self.during))
                group.create_task(self._flood(client))
                group.create_task(self._owner(client))

    async def _get(self, client: aiohttp.ClientSession, headers: dict[str, str], address: str) -> tuple[int, float]:
        began = time.perf_counter()
        async with client.get(self._url, headers={**headers, "X-Forwarded-For": address}) as answer:
            await answer.read()
            return answer.status, time.perf_counter() - began

    async def _paced(self, per_s: float, seconds: float, one):  # type: ignore[no-untyped-def]
        async with asyncio.TaskGroup() as group:
            began = time.monotonic()
            for number in range(int(per_s * seconds)):
                await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
                group.create_task(one(number))

    async def _others(self, client: aiohttp.ClientSession, seconds: float, took: list[float]) -> None:
        async def one(_: int) -> None:
            status, seconds = await self._get(client, {"X-API-Key": self._key}, "203.0.113.5")
            assert status == 200, status
            took.append(seconds)

        await self._paced(OTHERS_PER_S, seconds, one)

    async def _flood(self, client: aiohttp.ClientSession) -> None:
        async def one(number: int) -> None:
            address, name = f"10.{number >> 8 & 255}.{number & 255}.9", f"user{number % ACCOUNTS}"
            if number % 3 == 0:
                name = "owner"
            elif number % 3 == 1:
                address = "198.51.100.9"
            status, _ = await self._get(client, _authorization(name, f"guess {number}"), address)
            self.statuses[status] += 1

        await self._paced(FLOOD_PER_S, FLOOD_S, one)

    async def _login(self, client: aiohttp.ClientSession) -> None:
        self.owner.append(await self._get(client, _authorization("owner", RIGHT), "192.0.2.10"))

    async def _owner(self, client: aiohttp.ClientSession) -> None:
        await self._paced(1 / OWNER_EVERY_S, FLOOD_S, lambda _: self._login(client))


def _tell_flood(section: Section, flood: _Flood) -> None:
    before, during = quantile(sorted(flood.before), 0.5), quantile(sorted(flood.during), 0.5)
    said = ", ".join(f"{status}: {count}" for status, count in sorted(flood.statuses.items()))
    section.add("median of other callers before", "ms", [before * 1000])
    section.add(f"median of other callers during {FLOOD_PER_S} wrong logins/s", "× of before", [during / before], RATIO)
    section.add("99 of 100 of other callers during it", "ms", [quantile(sorted(flood.during), 0.99) * 1000])
    section.add("wrong logins that succeeded", "of " + str(FLOOD_PER_S * FLOOD_S), [float(flood.statuses[200])], 0.0)
    failed = sum(status != 200 for status, _ in flood.owner)
    section.add("logins of the owner that failed meanwhile", f"of {len(flood.owner)}", [float(failed)], 0.0)
    section.add("the owner's slowest login meanwhile", "s", [max(seconds for _, seconds in flood.owner)], OWNER_S)
    section.notes.append(f"The flood was answered: {said}.")


# times ----------------------------------------------------------------------------------------------------------------


Send = Callable[[http.client.HTTPSConnection, str, str, random.Random], None]
"""(connection, name, address, chance): one attempt in `name`, its answer read."""


def _answered(connection: http.client.HTTPSConnection, status: int) -> None:
    answer = connection.getresponse()
    answer.read()
    assert answer.status == status, answer.status


def _login(connection: http.client.HTTPSConnection, name: str, address: str, chance: random.Random) -> None:
    headers = {**_authorization(name, f"guess {chance.random()}"), "X-Forwarded-For": address}
    connection.request("GET", GET_TARGET, headers=headers)
    _answered(connection, 401)


def _posted(connection: http.client.HTTPSConnection, path: str, address: str, status: int, **fields: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": address}
    connection.request("POST", path, urlencode(fields), headers)
    _answered(connection, status)


def _ask(connection: http.client.HTTPSConnection, name: str, address: str, chance: random.Random) -> None:
    _posted(connection, "/auth/codes", address, 202, account=name)


def _redeem(connection: http.client.HTTPSConnection, name: str, address: str, chance: random.Random) -> None:
    code = f"{chance.getrandbits(32):08X}"
    _posted(connection, "/auth/token", address, 400, grant_type=CODE_GRANT, account=name, code=code)


def _times(
    installed: Installed, port: int, pairs: int, send: Send, *, again: bool = False
) -> tuple[list[float], list[float]]:
    """Seconds of each attempt: in the name of accounts that exist, and of nobody; `again`: of the same few nobodies."""
    there: list[float] = []
    nobody: list[float] = []

    def work(worker: int) -> None:
        chance = random.Random(worker)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=_context(installed), timeout=30)
        for number in range(pairs // WORKERS):
            kinds = [
                (f"user{(number * WORKERS + worker) % ACCOUNTS}", there),
                (f"none{(number * WORKERS + worker) % ACCOUNTS if again else chance.getrandbits(40)}", nobody),
            ]
            chance.shuffle(kinds)
            for name, took in kinds:
                began = time.perf_counter()
                send(connection, name, f"192.0.2.{worker}", chance)
                took.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(there) != pairs or len(nobody) != pairs:
        raise RuntimeError(f"{len(there)} and {len(nobody)} of {pairs} pairs were answered; see the gateway's log")
    return there, nobody


def _share_told(there: list[float], nobody: list[float], threshold: float, above: bool) -> int:
    right = sum((one > threshold) == above for one in there)
    return right + sum((one > threshold) != above for one in nobody)


def _best(there: list[float], nobody: list[float]) -> tuple[float, bool, int]:
    """(threshold, whether those above it exist, how many it tells)."""
    marked = sorted([(one, True) for one in there] + [(one, False) for one in nobody])
    below_there = below_nobody = 0
    best = (0.0, True, len(there))
    for seconds, exists in marked:
        below_there, below_nobody = below_there + exists, below_nobody + (not exists)
        above = len(there) - below_there + below_nobody
        for told, is_above in ((above, True), (len(marked) - above, False)):
            if told > best[2]:
                best = (seconds, is_above, told)
    return best


def _best_threshold(there: list[float], nobody: list[float]) -> tuple[float, tuple[float, float, float]]:
    """(percent told by the best threshold of the whole sample; (percent, from, to) of one found in a half, in the
    other: Wilson's interval)."""
    told = _best(there, nobody)[2] / (len(there) + len(nobody)) * 100
    half = len(there) // 2
    threshold, above, _ = _best(there[:half], nobody[:half])
    count = len(there[half:]) + len(nobody[half:])
    share, z = _share_told(there[half:], nobody[half:], threshold, above) / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return told, (share * 100, (middle - reach) * 100, (middle + reach) * 100)


def _tell_codes(section: Section, directory: Path, upstream: int) -> None:
    """Whether asking for an access code, and redeeming a wrong one, tells by its time that there is the account."""
    many = "100000/s burst 100000"
    wide = f"overall: {many}, accounts_per_address: {many}, " + ", ".join(
        f"{name}: {{free: 1000, delay: 1ms, delay_max: 1ms, forgive: 1ms}}" for name in ("account", "place", "address")
    )
    installed, port = _installed(directory, upstream, "remember: 0s", wide)
    with installed.policy.open("a") as policy:
        policy.write(
            "auth: {issuer: https://api.example, delivery: {outbox: outbox.jsonl}, "
            f"codes: {{account: {many}, address: {many}, overall: {many}}}}}\n"
        )
    with _gate(installed, port, directory.with_suffix(".log")):
        for what, send, pairs in (("asking for a code", _ask, PAIRS_ASKING), ("redeeming a wrong one", _redeem, PAIRS)):
            there, nobody = _times(installed, port, pairs, send, again=True)
            _wait_for_codes(installed.state / "outbox.jsonl", PAIRS_ASKING)
            tells, held_out = _best_threshold(there, nobody)
            note = (f"a threshold found in one half tells {held_out[0]:.1f} % of the other, "
                    f"95 % within {held_out[1]:.1f} to {held_out[2]:.1f} %")  # fmt: skip
            section.add(f"existence told by {what}, {pairs} pairs", "%", [tells], TELLS, note=note)
            section.notes.append(f"{what[:1].upper()}{what[1:]}: {note}.")


def _wait_for_codes(outbox: Path, many: int) -> None:
    """Until those asked for are made: the pool that hashes them is the one that compares."""
    deadline = time.monotonic() + 300
    while not outbox.exists() or outbox.read_bytes().count(b"\n") < many:
        if time.monotonic() > deadline:
            raise RuntimeError("the codes that were asked for were not all delivered")
        time.sleep(0.5)


def _hash_ms() -> float:
    began = time.perf_counter()
    passwords.hash(RIGHT)
    return (time.perf_counter() - began) * 1000
