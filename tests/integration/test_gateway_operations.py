"""Running it: what a load balancer, Prometheus, systemd and a person on call ask of a gateway in its own process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway_wire import echo, log_lines
from patience import patient
from processes import Process, run, sallygate, start
from sallygate.guard import Guard
from sallygate.runtime.runtime import Runtime
from support import Running, Upstream, held_port, make_key, running_gateway, until, write_policy


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


def operated(tmp_path: Path, upstream: str, more: str = "", listen: str = "") -> tuple[Path, int]:
    """(policy, port of the management listener)."""
    port = held_port()
    listening = f"listen: {{https: 127.0.0.1:{held_port()}, management: 127.0.0.1:{port}{listen}}}\n"
    return write_policy(tmp_path, f"operations: {{}}\n{listening}{more}", upstream=upstream), port


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=patient(5)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(port: int, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(ask(port, "/metrics")[1])
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def status(policy: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return sallygate("status", "--policy", policy, *options)


def test_alive_ready_and_counted(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert ask(port, "/livez") == (200, "ok\n")
        code, said = ask(port, "/readyz")
        assert code == 200 and {check["name"] for check in json.loads(said)["checks"]} == {
            "policy",
            "store",
            "events",
            "upstream",
        }
        assert running.get("/things", key)[0] == 200
        assert running.get("/things")[0] == 401
        assert running.get("/things", key, method="DELETE")[0] == 405
        name = "http_server_request_duration_seconds_count"
        assert metric(port, name, http_route="/things", http_request_method="GET", http_response_status_code="200") == 1
        assert metric(port, name, http_route="/things", http_response_status_code="401") == 1
        assert metric(port, "sallygate_decisions_total", decision="deny", control="clients") == 1
        assert metric(port, "sallygate_upstream_healthy", upstream=upstream.url) == 1
        assert metric(port, "process_resident_memory_bytes") > 1e6
        assert ask(port, "/status")[0] == 404, "who is called what is not for everybody who reaches the port"
        assert key not in ask(port, "/metrics")[1]


def test_what_status_says_and_its_exit_codes(tmp_path: Path, upstream: Upstream) -> None:
    policy, _ = operated(tmp_path, upstream.url)
    assert status(policy).returncode == 3 and "sallygate up" in status(policy).stderr
    with running_gateway(policy) as running:
        running.get("/things")
        done = status(policy, "--json")
        found = json.loads(done.stdout)
        assert done.returncode == 0 and found["ready"] and found["pid"] == running.process.pid
        https = next(listener for listener in found["listeners"] if listener["name"] == "https")
        assert 29 * 86400 < https["certificate_until"] - time.time() < 31 * 86400
        for word in ("ready", found["policy"], upstream.url, "certificate expires in", "events", "0 lost"):
            assert word in status(policy).stdout, word
        policy.write_text(policy.read_text() + "surprise: 1\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: any("policy is refused" in line["event"] and "policy" in line for line in log_lines(running.log)))
        later = status(policy)
        assert later.returncode == 0 and "a later policy was refused" in later.stdout and "1 refused" in later.stdout
    assert status(policy).returncode == 3
    assert not (tmp_path / "state" / "control.sock").exists()


def test_an_upstream_that_is_not_there_makes_it_not_ready(tmp_path: Path) -> None:
    back = held_port()
    policy, port = operated(tmp_path, f"http://127.0.0.1:{back}")
    with running_gateway(policy):
        code, said = ask(port, "/readyz")
        assert code == 503 and "no upstream takes connections" in said
        assert ask(port, "/livez")[0] == 200
        assert status(policy).returncode == 1
        with socket.create_server(("127.0.0.1", back)):
            until(lambda: ask(port, "/readyz")[0] == 200)


def test_a_database_taken_away_makes_it_not_ready(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream.url)
    with running_gateway(policy) as running:
        database = tmp_path / "state" / "sallygate.db"
        database.rename(database.with_suffix(".away"))
        until(lambda: ask(port, "/readyz")[0] == 503)
        assert running.get("/status")[0] == 200, "what is in memory still decides"
        database.with_suffix(".away").rename(database)
        until(lambda: ask(port, "/readyz")[0] == 200)


def test_a_refused_request_is_a_line_of_the_log(tmp_path: Path, upstream: Upstream) -> None:
    policy, _ = operated(tmp_path, upstream.url)
    trace = "0af7651916cd43dd8448eb211c80319c"
    with running_gateway(policy) as running:
        running.get("/things", traceparent=f"00-{trace}-b7ad6b7169203331-01")
        running.get("/status")
        line = until(lambda: [line for line in log_lines(running.log) if line["event"].startswith("refused")])[0]
        assert line["event"] == "refused 401 GET /things: This operation needs an API key in X-API-Key."
        assert line["trace_id"] == trace and line["request_id"] and line["reason"] == "identity.missing"
        assert not [line for line in log_lines(running.log) if line["event"].startswith("passed")]


def test_before_it_stops_it_says_so_and_still_accepts(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream.url, listen=", stop_delay: 3s")
    key = make_key(policy)
    with running_gateway(policy) as running:
        running.process.terminate()
        until(lambda: ask(port, "/readyz")[0] == 503)
        assert "is stopping" in ask(port, "/readyz")[1]
        assert running.get("/things", key)[0] == 200
        assert status(policy).returncode == 1
        assert running.process.wait(15) == 0


def test_slow_and_many_scrapers_do_not_hold_requests_up(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        for one in idle:
            one.sendall(b"GET /metrics HT")
        assert running.get("/things", key)[0] == 200 and ask(port, "/readyz")[0] == 200
        for one in idle:
            one.close()


# systemd ---------------------------------------------------------------------------------------------------------------


class Supervisor:
    """As systemd does: holds the listening socket, hands it to the service, and hears from it."""

    def __init__(self, directory: Path, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(directory / "notify"))
        self.told.settimeout(patient(20))
        self.env = {**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": "400000", "LISTEN_FDS": "1",
                    "LISTEN_PID": "PID"}  # fmt: skip

    def start(self, policy: Path, log: Path) -> Process:
        with log.open("ab") as stream:
            return start(sys.executable, "-m", "sallygate", "up", policy, command=True, stdout=stream, stderr=stream,
                         env=self.env, descriptors={3: self.listener.fileno()})  # fmt: skip

    def hear(self, word: bytes) -> bytes:
        while word not in (heard := self.told.recv(4096)):
            pass
        return heard

    def close(self) -> None:
        self.listener.close()
        self.told.close()


def test_restarts_on_a_socket_of_the_supervisors_fail_no_request(tmp_path: Path, upstream: Upstream) -> None:
    port = held_port()
    plans = 'plans: {large: {rate: 100000/s burst 100000, quota: {hour: 1000000}, concurrent: 10000, scopes: ["*"]}}\n'
    policy = write_policy(
        tmp_path, f"{plans}operations: {{}}\nlisten: {{https: 127.0.0.1:{port}}}\n", upstream=upstream.url
    )
    key, log = make_key(policy), tmp_path / "gateway.log"
    supervisor = Supervisor(tmp_path, port)
    process = supervisor.start(policy, log)
    got: Counter[object] = Counter()
    ended = threading.Event()
    try:
        supervisor.hear(b"READY=1")
        supervisor.hear(b"WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        assert b"MONOTONIC_USEC=" in supervisor.hear(b"RELOADING=1")
        supervisor.hear(b"READY=1")

        async def load() -> None:
            """Requests begun at a steady pace, each on a connection of its own, whatever became of the ones before."""
            context = ssl.create_default_context(cafile=str(tmp_path / "state" / "certificates" / "ca.pem"))
            connector = aiohttp.TCPConnector(ssl=context, limit=0, force_close=True)
            async with aiohttp.ClientSession(connector=connector) as client:

                async def one() -> None:
                    try:
                        async with client.get(f"https://127.0.0.1:{port}/things", headers={"X-API-Key": key}) as answer:
                            await answer.read()
                            got[answer.status] += 1
                    except aiohttp.ClientError as error:
                        got[repr(error)] += 1

                async with asyncio.TaskGroup() as group:
                    while not ended.is_set():
                        group.create_task(one())
                        await asyncio.sleep(0.01)

        thread = threading.Thread(target=lambda: asyncio.run(load()))
        thread.start()
        for _ in range(2):
            until(lambda before=got[200]: got[200] > before + 50, 20)
            process.terminate()
            supervisor.hear(b"STOPPING=1")
            assert process.wait(30) == 0
            process = supervisor.start(policy, log)
            supervisor.hear(b"READY=1")
        until(lambda before=got[200]: got[200] > before + 50, 20)
        ended.set()
        thread.join(patient(30))
        assert set(got) == {200}, got
    finally:
        ended.set()
        process.close()
        supervisor.close()


def test_a_socket_that_the_policy_does_not_name_is_refused(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, f"operations: {{}}\nlisten: {{https: 127.0.0.1:{held_port()}}}\n")
    supervisor = Supervisor(tmp_path, held_port())
    log = tmp_path / "gateway.log"
    process = supervisor.start(policy, log)
    try:
        assert process.wait(20) == 3
        assert "which `listen` does not name" in log.read_text()
    finally:
        process.close()
        supervisor.close()


def test_two_gateways_do_not_share_a_port(tmp_path: Path) -> None:
    policy, _ = operated(tmp_path / "a", "http://127.0.0.1:9")
    other = write_policy(tmp_path / "b", policy.read_text().split("\nlisten:")[1].join(["\nlisten:", ""]))
    with running_gateway(policy):
        done = run(sys.executable, "-m", "sallygate", "up", other, command=True)
        assert done.returncode == 3 and "cannot listen there" in done.stderr


# bad days --------------------------------------------------------------------------------------------------------------


def test_a_full_log_disk_stops_no_decision(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream.url)
    key = make_key(policy)
    https = int(policy.read_text().partition("https: 127.0.0.1:")[2].partition(",")[0])
    with Path("/dev/full").open("wb") as full:
        process = start("sallygate", "up", policy, stderr=full, stdout=full)
    try:
        until(lambda: status(policy).returncode == 0, 30)
        running = Running(process, https, policy, tmp_path / "none")
        assert running.get("/things")[0] == 401 and running.get("/things", key)[0] == 200
        until(lambda: json.loads(status(policy, "--json").stdout)["log_lines_lost"] > 0)
        assert metric(port, "sallygate_log_lines_lost_total") > 0
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.close()


def test_who_counts_or_watches_and_fails_ends_no_request(tmp_path: Path) -> None:
    async def story() -> tuple[int, int]:
        runtime = Runtime(write_policy(tmp_path), "in_process")
        await runtime.start()
        try:

            def broken(_: object) -> None:
                raise ValueError("broken")

            runtime.sinks.watch(broken)
            sent: list[dict[str, object]] = []

            async def send(message: dict[str, object]) -> None:
                sent.append(message)

            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": b"", "more_body": False}

            scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/things",
                     "raw_path": b"/things", "query_string": b"", "headers": [(b"host", b"a")],
                     "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "root_path": ""}  # fmt: skip
            await Guard(broken, runtime)(scope, receive, send)  # type: ignore[arg-type]
            return int(str(sent[0]["status"])), runtime.failures.counts["sink view"]
        finally:
            await runtime.stop()

    assert asyncio.run(story()) == (401, 1)


def test_a_control_socket_left_by_a_killed_process_is_taken_over(tmp_path: Path, upstream: Upstream) -> None:
    policy, _ = operated(tmp_path, upstream.url)
    with running_gateway(policy) as running:
        running.process.kill()
        running.process.wait()
        assert (tmp_path / "state" / "control.sock").exists()
    with running_gateway(policy) as running:
        assert json.loads(status(policy, "--json").stdout)["pid"] == running.process.pid


def test_a_state_directory_with_a_long_name(tmp_path: Path, upstream: Upstream) -> None:
    policy, _ = operated(tmp_path / ("d" * 120), upstream.url)
    with running_gateway(policy):
        assert status(policy).returncode == 0
