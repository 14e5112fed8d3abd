"""What becomes of a request from an address that a feed names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import Bench, code
from sallygate.offline.decide import Offline
from sallygate.parsing.indicators.blocks import blocks_of
from sallygate.state.feeds import Feed
from sallygate.state.feeds.compiling import compile_entries, shares
from sallygate.state.feeds.tables import About, Compiled
from support import make_key, write_policy

NOW = 1_790_000_000.0
DAY = 86400.0


def put(bench: Bench, name: str, *texts: str, confidence: int = 60, age_s: float = 3 * DAY) -> None:
    """A feed of that name in force."""
    entries = [(*block, NOW - age_s, 0.0, confidence) for text in texts for block in blocks_of(text)]
    tables, counted = compile_entries(entries, NOW)
    about = About("", "", NOW, len(entries), len(entries), shares=shares(counted.covered))
    bench.offline.state.feeds.put(Feed(name, Compiled(about, tables), NOW, DAY))


@pytest.fixture
def bench(tmp_path: Path):
    def make(*feeds: str, network: str = "") -> Bench:
        (tmp_path / "feed.txt").write_text("# none\n")
        listed = ", ".join(f"{{file: feed.txt, {feed}}}" for feed in feeds)
        policy = write_policy(tmp_path, f"network: {{intelligence: [{listed}]{network}}}\n")
        key = make_key(policy)
        return Bench(Offline(policy), key, NOW)

    return make


def findings(outcome: Any) -> list[tuple[str, str, str, str]]:
    return [(one.code, one.rule, one.evidence, one.mode) for one in outcome.decision.findings]


def test_a_feed_that_denies_refuses_and_the_event_says_which_what_and_how_old(bench) -> None:
    gate = bench("name: bad, act: deny")
    put(gate, "bad", "198.51.100.0/24", "2001:db8::/48")
    refused = gate.call(client="198.51.100.7")
    assert (refused.decision.status, refused.decision.verdict) == (403, "deny")
    evidence = "198.51.100.0/24, confidence 60, 3.0 d old, deny"
    assert findings(refused) == [("network.intelligence", "bad", evidence, "enforce")]
    assert code(gate.call(client="2001:db8::9")) == "network.intelligence" and code(gate.call(client="192.0.2.1")) == ""
    (finding,) = refused.decision.findings
    assert "bad" not in finding.detail and "198" not in finding.detail, "nothing of it is told to the client"


def test_a_feed_observes_unless_it_says_otherwise(bench) -> None:
    gate = bench("name: bad")
    put(gate, "bad", "198.51.100.7")
    passed = gate.call(client="198.51.100.7")
    assert passed.decision.verdict == "allow"
    assert findings(passed) == [
        ("network.intelligence", "bad", "198.51.100.7, confidence 60, 3.0 d old, observe", "shadow")
    ]


def test_a_score_is_recorded_with_its_confidence(bench) -> None:
    gate = bench("name: bad, act: score")
    put(gate, "bad", "198.51.100.7", confidence=85)
    assert findings(gate.call(client="198.51.100.7"))[0][2:] == (
        "198.51.100.7, confidence 85, 3.0 d old, score",
        "shadow",
    )


def test_a_throttle_counts_each_address_by_itself_and_an_ipv6_network_as_one(bench) -> None:
    gate = bench("name: bad, act: throttle, rate: 1/min burst 2")
    put(gate, "bad", "198.51.100.0/24", "2001:db8::/32")
    for client in ("198.51.100.7", "198.51.100.8"):
        assert [code(gate.call(client=client)) for _ in range(3)] == ["", "", "network.intelligence_rate"]
    assert [code(gate.call(client=f"2001:db8::{number}")) for number in (1, 2, 3)] == [
        "",
        "",
        "network.intelligence_rate",
    ]
    refused = gate.call(client="198.51.100.7")
    assert refused.decision.status == 429 and dict(refused.headers)[b"retry-after"] == b"60"
    assert findings(refused)[0][2] == "198.51.100.0/24, confidence 60, 3.0 d old, throttle"
    passed = gate.call(client="198.51.100.9")
    assert findings(passed)[0][0::3] == ("network.intelligence", "shadow"), "a match is on record though there is room"
    gate.now += 61
    assert code(gate.call(client="198.51.100.7")) == ""


def test_a_refused_throttle_costs_nothing_elsewhere(bench) -> None:
    gate = bench("name: slow, act: throttle, rate: 1/min burst 5", "name: slower, act: throttle, rate: 1/min burst 1")
    put(gate, "slow", "198.51.100.7")
    put(gate, "slower", "198.51.100.7")
    assert [code(gate.call(client="198.51.100.7")) for _ in range(4)] == ["", *["network.intelligence_rate"] * 3]
    assert gate.offline.state.tables["feed:slow"].look("198.51.100.7", gate.now, 4).allowed


def test_of_several_feeds_the_strictest_decides_and_all_are_on_record(bench) -> None:
    gate = bench("name: seen", "name: slow, act: throttle", "name: bad, act: deny", "name: sure, act: score")
    for name in ("seen", "slow", "bad", "sure"):
        put(gate, name, "198.51.100.7")
    refused = gate.call(client="198.51.100.7")
    assert code(refused) == "network.intelligence" and refused.decision.status == 403
    assert {(rule, mode) for _, rule, _, mode in findings(refused)} == {
        ("bad", "enforce"), ("slow", "shadow"), ("seen", "shadow"), ("sure", "shadow")}  # fmt: skip
    assert not refused.charges


def test_allow_beats_every_feed(bench) -> None:
    gate = bench("name: bad, act: deny", "name: seen", network=", allow: [198.51.100.0/28]")
    put(gate, "bad", "198.51.100.0/24")
    put(gate, "seen", "198.51.100.0/24")
    assert (
        findings(gate.call(client="198.51.100.7")) == []
        and code(gate.call(client="198.51.100.99")) == "network.intelligence"
    )


def test_private_addresses_are_never_named(bench) -> None:
    gate = bench("name: bad, act: deny, share_max: 1")
    put(gate, "bad", "0.0.0.0/0", "::/0", "10.0.0.0/8", "127.0.0.1")
    for client in ("10.0.0.1", "127.0.0.1", "192.168.1.1", "::1", "fd00::1", "169.254.169.254", ""):
        assert code(gate.call(client=client)) == "", client
    assert code(gate.call(client="8.8.8.8")) == "network.intelligence"


def test_a_feed_that_covers_more_than_its_share_is_only_observed(bench) -> None:
    gate = bench("name: bad, act: deny", "name: wide, act: throttle, share_max: 0.5, rate: 1/min burst 1")
    put(gate, "bad", "8.0.0.0/6")
    put(gate, "wide", "8.0.0.0/6")
    assert [code(gate.call(client="8.8.8.8")) for _ in range(2)] == ["", "network.intelligence_rate"]
    assert [one[2].rsplit(", ", 1)[1] for one in findings(gate.call(client="8.8.8.9"))] == ["throttle", "observe"]


def test_a_feed_the_policy_does_not_name_says_nothing(bench) -> None:
    gate = bench("name: bad, act: deny")
    put(gate, "old", "198.51.100.7")
    assert findings(gate.call(client="198.51.100.7")) == []


def test_in_shadow_nothing_is_refused_and_everything_recorded(bench) -> None:
    gate = bench("name: bad, act: deny", "name: slow, act: throttle, rate: 1/min burst 1", network=", mode: shadow")
    put(gate, "bad", "198.51.100.7")
    put(gate, "slow", "198.51.100.8")
    assert [(one.code, one.mode) for one in gate.call(client="198.51.100.7").decision.findings] == [
        ("network.intelligence", "shadow")
    ]
    gate.call(client="198.51.100.8")
    passed = gate.call(client="198.51.100.8")
    assert findings(passed)[0][0::3] == ("network.intelligence_rate", "shadow")
    assert b"retry-after" not in dict(passed.headers)


def asked(client: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/",
        "raw_path": b"/",
        "headers": [],
        "client": (client, 1),
    }


def test_at_the_door_a_denial_turns_away_and_nothing_else_does(bench) -> None:
    gate = bench(
        "name: bad, act: deny",
        "name: slow, act: throttle, rate: 1/min burst 1",
        "name: seen",
        network=", allow: [198.51.100.9]",
    )
    put(gate, "bad", "198.51.100.7", "198.51.100.9")
    put(gate, "slow", "198.51.100.7", "198.51.100.8")
    put(gate, "seen", "198.51.100.5")
    found = {}
    for client in ("198.51.100.5", "198.51.100.7", "198.51.100.8", "198.51.100.9"):
        refusal = gate.offline.gate.early.look(asked(client), NOW, lambda: "0" * 32)
        found[client] = refusal.finding.rule if refusal is not None else ""
    assert found == {"198.51.100.5": "", "198.51.100.7": "bad", "198.51.100.8": "", "198.51.100.9": ""}
    shadow = bench("name: bad, act: deny", network=", mode: shadow")
    put(shadow, "bad", "198.51.100.7")
    assert shadow.offline.gate.early.look(asked("198.51.100.7"), NOW, lambda: "0" * 32) is None


def test_a_feed_is_asked_before_anybody_is_asked_who_calls(bench) -> None:
    gate = bench("name: bad, act: deny")
    put(gate, "bad", "198.51.100.7")
    assert code(gate.call(client="198.51.100.7", key=None)) == "network.intelligence"
