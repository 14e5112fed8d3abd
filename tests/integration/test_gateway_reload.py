"""Change and stop under load: reload by signal and by file, draining, and many callers racing for one quota."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from gateway_wire import echo, events_of, log_lines
from patience import patient
from support import Received, Running, Upstream, make_key, running_gateway, until, write_policy

PLANS = 'plans: {large: {rate: %s burst %s, scopes: ["*"]}}\noperations: {}\n'


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


def session(running: Running) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=str(running.ca))
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0))


async def load(running: Running, key: str, ended: asyncio.Event, got: Counter[object], workers: int = 8) -> None:
    """What `workers` clients that never pause get until the end: statuses, and exceptions by their names."""

    async def one(client: aiohttp.ClientSession) -> None:
        while not ended.is_set():
            try:
                async with client.get(running.url + "/things", headers={"X-API-Key": key}) as answer:
                    await answer.read()
                    got[answer.status] += 1
            except aiohttp.ClientError as error:
                got[type(error).__name__] += 1

    async with session(running) as client:
        await asyncio.gather(*(one(client) for _ in range(workers)))


def reloaded(running: Running) -> int:
    return sum(line["event"] == "policy in force" for line in log_lines(running.log))


def change(policy: Path, before: str, after: str) -> None:
    text = policy.read_text()
    assert before in text
    fresh = policy.with_suffix(".new")
    fresh.write_text(text.replace(before, after))
    fresh.replace(policy)


def test_reloads_under_load_fail_no_request(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, PLANS % ("100000/s", "100000"), upstream=upstream.url)
    key = make_key(policy)
    with Upstream(echo) as second, running_gateway(policy) as running:

        async def story() -> Counter[object]:
            got: Counter[object] = Counter()
            ended = asyncio.Event()
            task = asyncio.create_task(load(running, key, ended, got))
            async with asyncio.timeout(patient(60)):
                for number in range(6):
                    before = got.total()
                    while got.total() < before + 100:
                        await asyncio.sleep(0.01)
                    urls = (upstream.url, second.url) if number % 2 == 0 else (second.url, upstream.url)
                    change(policy, *urls)
                    running.process.send_signal(signal.SIGHUP)
                    while reloaded(running) <= number:
                        await asyncio.sleep(0.01)
            ended.set()
            await task
            return got

        got = asyncio.run(story())
        assert set(got) == {200}, got
        assert upstream.received and second.received
        assert len(upstream.received) + len(second.received) == got[200]
        until(lambda: reloaded(running) >= 6)
        assert sum(event.count for event in events_of(running, got[200])) == got[200]


def test_a_new_policy_takes_effect_and_a_broken_one_does_not(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, PLANS % ("100/s", "100"), upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert "q=100;" in running.get("/things", key)[1]["ratelimit-policy"]
        good = policy.read_text()
        change(policy, "100/s burst 100", "5/s burst 5")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: reloaded(running) == 1)
        codes = [running.get("/things", key)[0] for _ in range(7)]
        assert 429 in codes
        for broken in (good + "surprise: 1\n", "", "version: 1\n", good.replace("openapi.json", "missing.json"),
                       good.replace("100/s burst 100", "-1/s"), "{", good.replace("state: state", "state: elsewhere")):  # fmt: skip
            refused = sum("policy is refused" in line["event"] for line in log_lines(running.log))
            policy.write_text(broken)
            running.process.send_signal(signal.SIGHUP)
            until(
                lambda before=refused: (
                    sum("policy is refused" in line["event"] for line in log_lines(running.log)) > before
                )
            )
            assert running.get("/status")[0] == 200
            assert running.get("/things")[0] == 401
        assert reloaded(running) == 1
        lines = [line for line in log_lines(running.log) if "policy is refused" in line["event"]]
        assert all(line["level"] == "error" and line["why"] for line in lines)
        (tmp_path / "openapi.json").write_text("{")
        policy.write_text(good)
        running.process.send_signal(signal.SIGHUP)
        until(lambda: sum("policy is refused" in line["event"] for line in log_lines(running.log)) > len(lines))
        assert running.get("/status")[0] == 200


def test_a_changed_file_is_taken_over(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, PLANS % ("100/s", "100") + "reload: file\n", upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        change(policy, "100/s burst 100", "7/s burst 7")
        until(lambda: "q=7;" in running.get("/things", key)[1]["ratelimit-policy"])
        change(policy, "7/s burst 7", "nonsense")
        until(lambda: any("policy is refused" in line["event"] for line in log_lines(running.log)))
        assert "q=7;" in running.get("/status", key)[1]["ratelimit-policy"]
        policy.unlink()
        assert running.get("/status")[0] == 200
        write_policy(tmp_path, PLANS % ("9/s", "9") + f"reload: file\nlisten: {{https: 127.0.0.1:{running.port}}}\n",
                     upstream=upstream.url)  # fmt: skip
        until(lambda: "q=9;" in running.get("/status", key)[1]["ratelimit-policy"])


def slow(request: Received, client: socket.socket) -> None:
    time.sleep(0.7)
    echo(request, client)


def test_a_stop_under_load_answers_what_it_took(tmp_path: Path) -> None:
    with Upstream(slow) as upstream:
        policy = write_policy(tmp_path, PLANS % ("100000/s", "100000"), upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running:

            async def story() -> list[object]:
                async with session(running) as client:

                    async def one(number: int) -> object:
                        url = running.url + f"/things?q={number}"
                        async with client.get(url, headers={"X-API-Key": key}) as answer:
                            return json.loads(await answer.read())["line"]

                    tasks = [asyncio.create_task(one(number)) for number in range(40)]
                    while len(upstream.received) < 40:
                        await asyncio.sleep(0.01)
                    running.process.terminate()
                    return await asyncio.gather(*tasks, return_exceptions=True)

            answers = asyncio.run(story())
            assert answers == [f"GET /things?q={number} HTTP/1.1" for number in range(40)]
            assert running.process.wait(10) == 0
            assert sum(event.count for event in events_of(running, 40)) == 40
            assert not [line for line in log_lines(running.log) if line["level"] not in ("info",)]


def race(running: Running, keys: list[str]) -> Counter[int]:
    async def story() -> Counter[int]:
        async with session(running) as client:

            async def one(key: str) -> int:
                async with client.get(running.url + "/things", headers={"X-API-Key": key}) as answer:
                    await answer.read()
                    return answer.status

            return Counter(await asyncio.gather(*map(one, keys)))

    return asyncio.run(story())


RACED = """
plans:
  large: {rate: 100000/s burst 100000, quota: {day: 50}, concurrent: 1000, scopes: ["*"]}
operations: {}
"""


def test_many_callers_racing_for_one_quota(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, RACED, upstream=upstream.url)
    keys = [make_key(policy, account="one") for _ in range(20)]
    with running_gateway(policy) as running:
        assert race(running, keys * 15) == {200: 50, 429: 250}
        # Keys made a moment ago, which the gate must fetch while it decides: several rounds, one charge.
        late = [make_key(policy, account="two") for _ in range(20)]
        assert race(running, late * 15) == {200: 50, 429: 250}
    assert len(upstream.received) == 100


def test_places_are_never_more_than_there_are(tmp_path: Path) -> None:
    open_now, most = [0], [0]

    def counted(request: Received, client: socket.socket) -> None:
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        time.sleep(0.1)
        open_now[0] -= 1
        echo(request, client)

    with Upstream(counted) as upstream:
        plan = 'plans: {large: {rate: 100000/s burst 100000, concurrent: 7, scopes: ["*"]}}\noperations: {}\n'
        policy = write_policy(tmp_path, plan, upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running:
            got = race(running, [key] * 100)
            assert got[200] >= 7 and got[200] + got[429] == 100
            assert most[0] <= 7
            assert race(running, [key] * 7) == {200: 7}
