"""Networks, countries and restrictions at a running gateway, as an operator works them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from gateway_wire import echo, events_of, log_lines
from patience import patient
from processes import sallygate
from sallygate.model.event import Event
from support import Received, Running, Upstream, cli, make_key, running_gateway, until, write_policy

BRAZIL, JAPAN, NOWHERE = "200.160.2.3", "133.11.0.1", "10.1.2.3"
HOP = "transport: {trusted_hops: [127.0.0.1]}\n"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


def call(running: Running, key: str | None, address: str, path: str = "/things", **more: Any) -> tuple[int, str]:
    """(status, code) of a request from `address`, as a trusted hop reports it."""
    status, _, body = running.get(path, key, X_Forwarded_For=address, X_Forwarded_Proto="https", **more)
    found = json.loads(body) if body else {}
    return status, str(found.get("code", "")) if isinstance(found, dict) else ""


def test_a_country_is_closed_within_300_ms_and_opened_again(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, HOP, upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert call(running, key, BRAZIL)[0] == 200
        done = cli(
            policy,
            "restrict",
            "add",
            "--country",
            "BR",
            "--methods",
            "GET",
            "--for",
            "2h",
            "--reason",
            "flood",
            "--json",
        )
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        until(lambda: call(running, key, BRAZIL) == (403, "restriction.deny"), within_s=1.0)
        assert call(running, key, JAPAN)[0] == 200 and call(running, key, NOWHERE)[0] == 200
        assert made["scope"] == {"country": "BR"} and made["methods"] == ["GET"]

        def hits() -> bool:
            shown = json.loads(cli(policy, "restrict", "show", made["id"], "--json").stdout)
            return bool(shown["hits"] >= 1)

        until(hits)
        assert cli(policy, "restrict", "lift", made["id"]).returncode == 0
        until(lambda: call(running, key, BRAZIL)[0] == 200, within_s=1.0)
        acts = json.loads(cli(policy, "restrict", "history", "--json").stdout)
        assert [one["act"] for one in acts] == ["restriction.add", "restriction.lift"] and "flood" in acts[0]["note"]
        countries = {event.location.country for event in events_of(running, 4)}
        assert {"BR", "JP", ""} <= countries


def test_a_dry_run_makes_nothing_and_tells_whom_it_would_have_met(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, HOP, upstream=upstream.url)
    keys = [make_key(policy, account=f"caller{number}") for number in range(12)]
    with running_gateway(policy) as running:
        for number, key in enumerate(keys):
            assert call(running, key, BRAZIL if number < 6 else JAPAN)[0] == 200
        events_of(running, 12)
        add = ("restrict", "add", "--reason", "test")
        shown = json.loads(cli(policy, *add, "--country", "BR", "--dry-run", "--json").stdout)
        assert (shown["requests"], shown["requests_met"], shown["callers"], shown["callers_met"]) == (12, 6, 12, 6)
        assert shown["most"][0]["country"] == "BR"
        assert json.loads(cli(policy, "restrict", "list", "--json").stdout) == []
        refused = cli(policy, *add, "--country", "BR")
        assert refused.returncode != 0 and "6 of the 12 callers" in refused.stderr and "--wide" in refused.stderr
        assert cli(policy, *add, "--country", "BR", "--wide").returncode == 0
        all_of_them = cli(policy, *add, "--country", "JP", "--wide")
        assert all_of_them.returncode != 0 and "12 of the 12 callers" in all_of_them.stderr
        assert cli(policy, *add, "--country", "JP", "--act", "throttle", "--rate", "5/s").returncode == 0


@pytest.mark.parametrize("stalls", [False, True])
def test_a_termination_cuts_an_answer_under_way(tmp_path: Path, stalls: bool) -> None:
    """Also one that stalls: of which no piece comes that could be refused."""
    going, ended = threading.Event(), threading.Event()

    def stream(request: Received, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        going.set()
        try:
            for _ in range(1 if stalls else 1000):
                client.sendall(b"5\r\ndata\n\r\n")
                time.sleep(0.02)
            if not client.recv(1):
                ended.set()
        except OSError:
            ended.set()
            raise

    with Upstream(stream) as upstream:
        policy = write_policy(tmp_path, upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running, running.connect() as client:
            client.sendall(f"GET /things HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
            assert going.wait(patient(5))
            client.settimeout(patient(5))
            assert b"200" in client.recv(65536)
            assert (
                cli(policy, "restrict", "add", "--account", "acme", "--act", "terminate", "--reason", "leak").returncode
                == 0
            )
            got = b""
            try:
                while part := client.recv(65536):
                    got += part
            except OSError:
                pass
            assert not got.endswith(b"0\r\n\r\n"), "an answer that is cut must not look whole"
            assert ended.wait(patient(5)), "the API is told too"
            assert running.code("/things", key) == "restriction.terminate"
            cut: list[Event] = []

            def recorded() -> bool:
                cut[:] = [one for one in events_of(running, 0) if one.status == 599]
                return bool(cut)

            until(recorded)
            (event,) = cut
            assert event.account == "acme"


def test_a_list_that_changes_is_in_force_and_a_bad_one_is_not(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "bad.txt").write_text("192.0.2.1\n")
    os.utime(tmp_path / "bad.txt", (1, 1))
    policy = write_policy(tmp_path, HOP + "network: {deny: [{file: bad.txt}]}\n", upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert call(running, key, JAPAN)[0] == 200 and call(running, key, "192.0.2.1") == (403, "network.denied")
        (tmp_path / "bad.txt").write_text(f"192.0.2.1\n{JAPAN}\n")
        until(lambda: call(running, key, JAPAN) == (403, "network.denied"))
        (tmp_path / "bad.txt").write_text(f"{BRAZIL}\nnot an address\n")
        until(
            lambda: [
                one
                for one in log_lines(running.log)
                if "line 2: 'not an address' is not an address or prefix" in json.dumps(one)
            ]
        )
        assert call(running, key, JAPAN) == (403, "network.denied") and call(running, key, BRAZIL)[0] == 200
        (tmp_path / "bad.txt").unlink()
        time.sleep(1.5)
        assert call(running, key, JAPAN) == (403, "network.denied")


def test_a_database_of_ones_own_is_believed_first_and_kept_when_it_becomes_bad(
    tmp_path: Path, upstream: Upstream
) -> None:
    mine = tmp_path / "mine.mmdb"
    with as_file(files("sallygate") / "data" / "places.mmdb") as packaged:
        shutil.copy(packaged, mine)
    policy = write_policy(
        tmp_path, HOP + "network: {databases: [mine.mmdb], countries: {deny: [BR]}}\n", upstream=upstream.url
    )
    key = make_key(policy)
    with running_gateway(policy) as running:
        shown = json.loads(cli(policy, "status", "--json").stdout)["geography"]
        assert [one["name"] for one in shown] == ["mine.mmdb", "the one that comes with the package"]
        assert call(running, key, BRAZIL) == (403, "network.country")
        (tmp_path / "bad").write_bytes(b"not a database")
        (tmp_path / "bad").rename(mine)
        until(lambda: [one for one in log_lines(running.log) if "not a readable MMDB file" in json.dumps(one)])
        assert call(running, key, BRAZIL) == (403, "network.country") and call(running, key, JAPAN)[0] == 200
    refused = sallygate("check", policy)
    assert refused.returncode == 1 and "`mine.mmdb` is not a readable MMDB file" in refused.stderr
