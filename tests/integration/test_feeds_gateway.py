"""Feeds of a running gateway and the commands about them: in force, refused, told of, kept over a restart."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feeds_harness import FeedHouse, bundle, fetched, indicator, ip, serving
from patience import patient
from sallygate.cli import app
from sallygate.offline.doctor import examine
from sallygate.stores.sqlite.files import SqliteFiles
from support import Upstream, held_port, make_key, running_gateway, until, write_policy

HOP = "transport: {trusted_hops: [127.0.0.1]}\n"


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{words}: {result.output}{result.exception!r}"
    return result.stdout


def test_a_feed_is_in_force_and_told_of_and_a_failing_one_keeps_its_last_state(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        serving({"/list.txt": b"198.51.100.7\nnonsense\n198.51.100.0/28\n" + b"# x\n"}) as (url, served),
    ):
        feeds = f"network: {{intelligence: [{{name: bad, url: '{url}/list.txt?key=s3cret', act: deny, bad_max: 0.5}}], allow: [198.51.100.9]}}\n"
        policy = write_policy(tmp_path, HOP + feeds, upstream=upstream.url)
        key = make_key(policy)

        def status(client: str) -> int:
            return gateway.get("/things", key, X_Forwarded_For=client, X_Forwarded_Proto="https")[0]

        with running_gateway(policy) as gateway:
            run("feeds", "refresh", "--wait", "30s", "--policy", policy)
            assert (status("198.51.100.7"), status("198.51.100.9"), status("198.51.100.99")) == (403, 200, 200)
            _, _, body = gateway.get("/things", key, X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="https")
            assert json.loads(body)["code"] == "network.intelligence" and b"bad" not in body and b"198.51" not in body
            (state,) = json.loads(run("feeds", "list", "--policy", policy, "--json"))
            assert (state["indicators"], state["bad"], state["failing"], state["act"]) == (2, 1, False, "deny")
            shown = run("feeds", "list", "--policy", policy)
            assert "2 indicators" in shown and "line 2: not an address" in shown and "s3cret" not in shown
            served.down = True
            told = run("feeds", "refresh", "bad", "--wait", "30s", "--policy", policy, code=1)
            assert "answers 503" in told and "s3cret" not in told
            assert status("198.51.100.7") == 403
            assert "503" in run("status", "--policy", policy)
            (found,) = json.loads(run("feeds", "find", "198.51.100.7", "--policy", policy, "--json"))
            assert (found["feed"], found["indicator"], found["act"]) == ("bad", "198.51.100.7", "deny")
            assert "no feed names 8.8.8.8" in run("feeds", "find", "8.8.8.8", "--policy", policy, code=1)

            def recorded() -> bool:
                lines = run("events", "--policy", policy, "--json").splitlines()
                return any(
                    finding["rule"] == "bad"
                    and finding["evidence"].startswith("198.51.100.7, confidence 50, 0.0 d old")
                    for line in lines
                    for finding in json.loads(line).get("findings", ())
                    if finding["code"] == "network.intelligence"
                )

            until(recorded)
            assert "s3cret" not in gateway.log.read_text()
        served.down = False
        served.files.clear()
        with running_gateway(policy) as gateway:
            assert status("198.51.100.7") == 403, "kept over a restart, from the first request on"
        assert "2 indicators" in run("feeds", "list", "--policy", policy), "told of without a gate, too"


def test_in_process_a_feed_refuses_alike(tmp_path: Path) -> None:
    import asyncio

    import sallygate

    (tmp_path / "bad.txt").write_text("198.51.100.0/24\n")
    policy = write_policy(tmp_path, "network: {intelligence: [{name: bad, file: bad.txt, act: deny}]}\n")
    reached: list[str] = []

    async def api(scope, receive, send) -> None:
        reached.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> None:
        guard = sallygate.Guard(api, policy=policy)
        await guard.runtime.start()
        try:
            async with asyncio.timeout(patient(30)):
                while not len(guard.runtime.state.feeds):
                    await asyncio.sleep(0.02)
            for client in ("198.51.100.7", "192.0.2.1"):
                scope = {
                    "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/status", "raw_path": b"/status",
                    "query_string": b"", "headers": [(b"host", b"a")], "client": (client, 1), "server": ("127.0.0.1", 443), "root_path": "",
                }  # fmt: skip
                sent: list[dict] = []

                async def receive() -> dict:
                    return {"type": "http.request", "body": b"", "more_body": False}

                async def send(message: dict, sent: list[dict] = sent) -> None:
                    sent.append(message)

                await guard(scope, receive, send)
                statuses[client] = sent[0]["status"]
        finally:
            await guard.runtime.stop()

    statuses: dict[str, int] = {}
    asyncio.run(story())
    assert statuses == {"198.51.100.7": 403, "192.0.2.1": 200} and reached == ["192.0.2.1"]


def test_the_doctor_looks_at_feeds(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("198.51.100.7\n")
    closed = f"http://127.0.0.1:{held_port()}/list.txt"
    house = fetched(FeedHouse(tmp_path, f"{{name: own, file: own.txt}}, {{name: gone, url: '{closed}'}}"), 2)
    found = {
        one.said.partition(":")[0]: one for one in examine(house.policy, None, SqliteFiles()) if one.what == "feed"
    }
    assert found["own"].verdict == "ok" and "1 indicators" in found["own"].said
    assert found["gone"].verdict == "note" and "no indicators are active" in found["gone"].said and found["gone"].cure


def test_commands_without_a_gate(tmp_path: Path) -> None:
    (tmp_path / "own.stix.json").write_bytes(bundle(indicator(ip("198.51.100.7"), time.time() - 3600)))
    policy = write_policy(tmp_path, "network: {intelligence: [{name: own, file: own.stix.json}]}\n")
    assert "it was not fetched yet" in run("feeds", "list", "--policy", policy)
    assert "1 indicators" in run("feeds", "check", "--name", "own", "--policy", policy)
    run("feeds", "refresh", "--wait", "1s", "--policy", policy, code=3)
    run("feeds", "refresh", "nothing", "--policy", policy, code=2)
    run("feeds", "find", "nonsense", "--policy", policy, code=2)
    run("feeds", "check", "--policy", policy, code=2)
    assert "the policy names no feeds" in run("feeds", "list", "--policy", write_policy(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "words", "code", "told"),
    [
        ("198.51.100.7\n", [], 0, "1 indicators"),
        ("198.51.100.7\nx\n", [], 1, "would be refused: more than `bad_max`"),
        ("8.0.0.0/8\n", [], 0, "covers 0.4531"),
        ("a;198.51.100.7;198.51.100.8\n", ["--format", "csv", "--column", "3"], 0, "1 indicators"),
        ("198.51.100.7\n", ["--format", "xml"], 2, ""),
        ("198.51.100.7\n", ["--format", "plain", "--column", "3"], 2, ""),
        ("", [], 1, "is empty"),
    ],
)
def test_a_file_is_checked(tmp_path: Path, text: str, words: list[str], code: int, told: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(text)
    assert told in run("feeds", "check", file, *words, code=code)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "No such file" in run("feeds", "check", tmp_path / "none.txt", code=1)
    assert not os.listdir(tmp_path)
