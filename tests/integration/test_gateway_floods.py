"""A running gateway before an API that can be overloaded: who is served, who waits, who is refused, and what is left
held afterwards."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway_wire import events_of, log_lines
from patience import patient
from sallygate.telemetry.control import ask_status
from support import PLANS, Received, Running, Upstream, make_key, plain_answer, running_gateway, until, write_policy

PLANS_BY_PRIORITY = """
plans:
  high: {priority: high, rate: 10000/s burst 10000, quota: {hour: 10000000}, concurrent: 500, scopes: ["*"]}
  large: {rate: 10000/s burst 10000, quota: {hour: 10000000}, concurrent: 500, scopes: ["*"]}
  low: {priority: low, rate: 10000/s burst 10000, quota: {hour: 10000000}, concurrent: 500, scopes: ["*"]}
"""
NARROW = "{min: 2, initial: 2, max: 2, queue: 4, wait: 10s}"
"""Two places and four that wait: what happens is the same whatever the machine is doing."""


class Gate:
    """An API whose answers leave when they are let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.working = self.most = 0

    def answer(self, request: Received, client: socket.socket) -> None:
        with self.lock:
            self.working += 1
            self.most = max(self.most, self.working)
        self.open.wait(patient(20))
        with self.lock:
            self.working -= 1
        plain_answer(request, client)


@contextmanager
def flooded(tmp_path: Path, shedding: str = NARROW, more: str = "", answer: Callable[..., None] | None = None
            ) -> Iterator[tuple[Running, Gate, dict[str, str]]]:  # fmt: skip
    held = Gate()
    with Upstream(answer or held.answer) as api:
        text = f"flood: {{shedding: {shedding}}}\n" if "flood:" not in more else ""
        policy = write_policy(tmp_path, text + more + PLANS_BY_PRIORITY, upstream=api.url)
        keys = {plan: make_key(policy, plan, plan) for plan in ("high", "large", "low")}
        with running_gateway(policy) as running:
            try:
                yield running, held, keys
            finally:
                held.open.set()


def load(running: Running) -> dict[str, int]:
    found = ask_status(running.policy.parent / "state" / "control.sock")
    assert found is not None and found.flood is not None
    shedding = found.flood.shedding
    return {"working": sum(shedding.working.values()), "waiting": sum(shedding.waiting.values()),
            "boxed": found.flood.penalised, "shed": sum(shedding.shed.values()), "limit": shedding.limit}  # fmt: skip


def crowd(pool: ThreadPoolExecutor, running: Running, count: int, *asked: object, **more: str):
    return [pool.submit(running.get, *asked, **more) for _ in range(count)]


def test_the_queue_is_short_the_better_come_first_and_the_rest_is_refused_at_once(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(40) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        waiting = crowd(pool, running, 40, "/status")  # the queue of a small limit is forty, of this one four
        until(lambda: load(running)["waiting"] == 4)
        strangers = [one for one in waiting if one.done()]
        until(lambda: sum(one.done() for one in waiting) == 36)
        status, headers, body = next(one for one in waiting if one.done()).result()
        problem = json.loads(body)
        assert (status, problem["code"]) == (503, "flood.shed") and 10 <= int(headers["retry-after"]) <= 20, strangers
        better = crowd(pool, running, 3, "/things", keys["high"])
        until(lambda: sum(one.done() for one in waiting) == 39)  # three made way
        assert load(running)["waiting"] == 4 and held.most == 2
        held.open.set()
        assert [one.result()[0] for one in (*first, *better)] == [200] * 5
        assert sorted(Counter(one.result()[0] for one in waiting).items()) == [(200, 1), (503, 39)]
        until(lambda: load(running)["working"] == 0)
        assert held.most == 2, "the API was never given more than its limit"
        assert load(running)["shed"] == 39


def test_events_and_metrics_count_every_refusal(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(40) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        waiting = crowd(pool, running, 40, "/status")
        until(lambda: sum(one.done() for one in waiting) == 36)
        held.open.set()
        assert all(one.result() for one in (*first, *waiting))
        events = events_of(running, 42)
        shed = [event for event in events if any(finding.code == "flood.shed" for finding in event.findings)]
        assert sum(event.count for event in shed) == 36 and sum(event.count for event in events) == 42
        assert {finding.rule for event in shed for finding in event.findings} == {"unknown"}
        assert any("shedding load" in line["event"] for line in until(lambda: [
            line for line in log_lines(running.log) if "shedding" in line["event"]]))  # fmt: skip


def test_a_client_that_leaves_while_it_waits_gives_its_place_back(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(4) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        clients = []
        for _ in range(4):
            client = running.connect()
            client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
            clients.append(client)
        until(lambda: load(running)["waiting"] == 4)
        for client in clients:
            client.close()
        until(lambda: load(running)["waiting"] == 0)
        held.open.set()
        assert [one.result()[0] for one in first] == [200, 200]
        gone = until(lambda: [event for event in events_of(running) if event.status == 499])
        assert sum(event.upstream_status for event in gone) == 0, "the API was not asked for them"


def test_who_waits_too_long_is_refused(tmp_path: Path) -> None:
    narrow = NARROW.replace("10s", "200ms")
    with flooded(tmp_path, narrow) as (running, held, keys), ThreadPoolExecutor(4) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        status, headers, body = running.get("/things", keys["high"])
        assert (status, json.loads(body)["code"], headers["retry-after"] in ("1", "2")) == (503, "flood.shed", True)
        held.open.set()
        assert [one.result()[0] for one in first] == [200, 200]


def test_bodies_wait_too_and_arrive_whole(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(8) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        posts = crowd(
            pool, running, 2, "/things", keys["large"], "POST", b'{"name":"a"}', Content_Type="application/json"
        )
        raw = crowd(pool, running, 2, "/things", keys["high"], "POST", b"x" * 70_000,
                    Content_Type="application/octet-stream")  # fmt: skip
        until(lambda: load(running)["waiting"] == 4)
        held.open.set()
        assert [one.result()[0] for one in (*first, *posts, *raw)] == [200] * 6


def test_shadow_counts_and_refuses_none(tmp_path: Path) -> None:
    shadow = NARROW.replace("{", "{mode: shadow, ")
    with flooded(tmp_path, shadow) as (running, held, keys), ThreadPoolExecutor(20) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        rest = crowd(pool, running, 12, "/status")
        until(lambda: held.working == 14)
        held.open.set()
        assert {one.result()[0] for one in (*first, *rest)} == {200}
        assert load(running)["shed"] == 0


def test_a_reload_in_the_middle_of_a_flood_loses_nobody(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(12) as pool:
        first = crowd(pool, running, 2, "/things", keys["low"])
        until(lambda: held.working == 2)
        waiting = crowd(pool, running, 4, "/things", keys["large"])
        until(lambda: load(running)["waiting"] == 4)
        text = running.policy.read_text().replace("max: 2, queue: 4", "max: 6, queue: 4").replace("min: 2", "min: 6")
        running.policy.write_text(text.replace("initial: 2", "initial: 6"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: load(running)["limit"] == 6)
        more = crowd(pool, running, 2, "/things", keys["high"])
        held.open.set()
        assert {one.result()[0] for one in (*first, *waiting, *more)} == {200}


def test_a_stop_in_the_middle_of_a_flood_ends_and_answers_who_was_let_in(tmp_path: Path) -> None:
    with flooded(tmp_path) as (running, held, keys), ThreadPoolExecutor(12) as pool:
        asked = crowd(pool, running, 6, "/things", keys["large"])
        until(lambda: load(running)["waiting"] == 4)
        running.process.terminate()
        time.sleep(0.2)
        held.open.set()
        assert {one.result()[0] for one in asked} == {200}
        assert running.process.wait(20) == 0


def test_a_slow_body_is_given_up_and_holds_no_place(tmp_path: Path) -> None:
    more = f"flood: {{body: {{time: 1h, rate: 1000, after: 300ms}}, shedding: {NARROW}}}\n"
    with flooded(tmp_path, more=more) as (running, held, keys):
        held.open.set()
        for media, length in (("application/json", 5000), ("application/octet-stream", 50_000)):
            with running.connect() as client:
                client.sendall(
                    f"POST /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {keys['large']}\r\nContent-Type: {media}\r\n"
                    f"Content-Length: {length}\r\n\r\n{{".encode()
                )
                got = client.recv(65536)
                while b"flood.slow_body" not in got and (more_of_it := client.recv(65536)):
                    got += more_of_it
                assert b" 408 " in got.split(b"\r\n")[0] and b"flood.slow_body" in got, media
                assert load(running)["working"] == 0
        assert running.get("/things", keys["large"])[0] == 200


def test_a_reader_that_stops_holds_no_place(tmp_path: Path) -> None:
    def large(request: Received, client: socket.socket) -> None:
        if not request.line.startswith(b"GET /status"):
            plain_answer(request, client)
            return
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8000000\r\n\r\n")
        client.sendall(b"x" * 8_000_000)

    with flooded(tmp_path, answer=large) as (running, _, keys):
        readers = []
        for _ in range(4):
            client = running.connect()
            client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv(1000)
            readers.append(client)
        assert load(running) | {"shed": 0} == load(running) and load(running)["working"] == 0
        assert [running.get("/things", keys["low"])[0] for _ in range(5)] == [200] * 5
        for client in readers:
            client.close()


def test_boxed_sources_are_seen_and_let_out(tmp_path: Path) -> None:
    more = "transport: {trusted_hops: [127.0.0.1]}\nflood: {penalty: {refusals: 1/h burst 3, first: 2s}}\n"
    with flooded(tmp_path, more=more) as (running, held, keys):
        held.open.set()
        hop = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https"}
        codes = [running.code("/nothing", **hop) for _ in range(6)]
        assert codes == ["clients.path"] * 4 + ["flood.penalty"] * 2 and load(running)["boxed"] == 1
        assert running.get("/things", keys["low"], **hop)[0] == 200, "a neighbour with a key"
        assert running.get("/status", **{**hop, "X_Forwarded_For": "203.0.113.8"})[0] == 200
        until(lambda: running.get("/status", **hop)[0] == 200)


def test_caps_on_connections_are_refused_while_there_is_no_edge(tmp_path: Path) -> None:
    from sallygate.policy.errors import PolicyError
    from sallygate.policy.load import load_policy

    policy = write_policy(tmp_path, "flood: {connections: {per_address: 10}}\n" + PLANS)
    with pytest.raises(PolicyError) as refused:
        load_policy(policy)
    (problem,) = refused.value.problems
    assert problem.code == "policy.unsupported" and "per_address" in problem.message and "edge" in problem.hint


def test_an_answer_that_is_read_too_slowly_is_cut(tmp_path: Path) -> None:
    def large(request: Received, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16000000\r\n\r\n")
        client.sendall(b"x" * 16_000_000)

    more = "flood: {answer: {rate: 100MB, after: 200ms}}\n"
    with flooded(tmp_path, more=more, answer=large) as (running, _, _keys), running.connect() as client:
        client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        got = len(client.recv(1000))
        time.sleep(1.0)  # the reader is what is slow here
        try:
            while part := client.recv(1 << 20):
                got += len(part)
        except OSError:
            pass
        assert 0 < got < 16_000_000
        cut = until(lambda: [event for event in events_of(running) if event.status == 599])
        assert len(cut) == 1
