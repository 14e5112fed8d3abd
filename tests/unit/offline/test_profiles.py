"""Profiles: what many honest callers send to a field is normal there; what few send, or what breaks out, is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from injection_harness import HEADERS, SQL, XSS
from sallygate.cli import app
from sallygate.controls.injection.exclusions import pattern
from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.offline.decide import Offline
from sallygate.offline.profiles import as_text, difference, learn
from sallygate.offline.recordings import Recorded
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from sallygate.policy.profile import Normal, read_profile
from sallygate.stores.events import EventLog

NOW = 1_780_000_000.0
REPORTS = [
    "SELECT name, total FROM orders WHERE total > {0} ORDER BY total",
    "SELECT count(*) FROM visits{0} GROUP BY day",
    "SELECT a.id FROM t{0} a JOIN u b ON a.id = b.id WHERE b.c = {0}",
]


def sent(query: str, field: str = "report", path: str = "/reports") -> Recorded:
    body = json.dumps({field: query}).encode()
    headers = (*HEADERS, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return Recorded("POST", "https", path.encode(), b"", headers, body, "192.0.2.7")


def gate(directory: Path, profiles: str = "off", more: str = "") -> Offline:
    directory.mkdir(exist_ok=True)
    file = directory / "sallygate.yaml"
    file.write_text(f"version: 1\nopenapi: none\nidentity: none\ninjection: {{profiles: {profiles}{more}}}\n")
    return Offline(file)


def event_of(offline: Offline, request: Recorded, account: str, number: int, address: str = "192.0.2.7") -> Event:
    decision = offline.decide(request).decision
    return Event(
        at=NOW + number,
        request_id=f"{account}-{number}",
        trace_id="",
        decision=decision.verdict,
        status=decision.status or 200,
        method="POST",
        path=request.raw_path.decode(),
        client_address=address,
        location=Location("192.0.2.0/24"),
        findings=decision.findings,
        account=account,
    )


def honest(offline: Offline, requests: int = 100, callers: int = 20) -> list[Event]:
    return [
        event_of(offline, sent(REPORTS[number % 3].format(number)), f"account-{number % callers}", number)
        for number in range(requests)
    ]


def refused(offline: Offline, requests: Iterable[Recorded]) -> int:
    return sum(offline.decide(request).decision.verdict != "allow" for request in requests)


@pytest.fixture
def learnt(tmp_path: Path) -> Callable[[list[Event]], Offline]:
    def apply(events: list[Event]) -> Offline:
        found = learn(events, 5, 0.25, 1)
        (tmp_path / "sallygate.profile.yaml").write_text(as_text(found.normal))
        return gate(tmp_path, "apply")

    return apply


def test_what_many_send_is_normal_and_attacks_there_are_not(
    tmp_path: Path, learnt: Callable[[list[Event]], Offline]
) -> None:
    before = gate(tmp_path)
    others = [sent(text.format(number)) for number in range(500, 520) for text in REPORTS]
    assert refused(before, others) >= 40
    after = learnt(honest(before))
    assert refused(after, others) == 0
    attacks = [SQL, XSS, "x' or '1'='1", "1; drop table users", "1 union select a, b from users", "; cat /etc/passwd",
               f"{REPORTS[0].format(1)}; drop table orders", f"x' union select a,b from users -- {REPORTS[0].format(1)}",
               f"{REPORTS[1].format(1)}' or 'a'='a", "{{7*7}}", "${jndi:ldap://a.example/x}", "1 and sleep(5)"]  # fmt: skip
    assert refused(after, map(sent, attacks)) == len(attacks)
    assert refused(after, [sent(REPORTS[0].format(1), field="name"), sent(REPORTS[0].format(1), path="/other")]) == 2


HONEST = "SELECT count(*) FROM visits GROUP BY day"


@pytest.mark.parametrize(
    "attack",
    [
        f"1' and sleep(5)-- \n{HONEST}",
        f"x' or '1'='1\n{HONEST}",
        f"'; exec xp_cmdshell('dir')--\n{HONEST}",
        f"SELECT 1 INTO OUTFILE '/srv/x.php'\n{HONEST}",
        "SELECT name, total FROM orders' and extractvalue(1,concat(0x7e,version()))--  WHERE total > 5 ORDER BY total",
        "select pg_sleep(10)\nSELECT count(*) FROM visits",
        f"Here is an example text `x' or '1'='1` and so on {HONEST}",
        f"x' or '1'='1 {HONEST.replace('S', '%2553')}",
        "DELETE FROM users WHERE 1=1",
        "UPDATE users SET admin=1 WHERE id=7",
    ],
)
def test_a_normal_structure_hides_no_attack(
    tmp_path: Path, learnt: Callable[[list[Event]], Offline], attack: str
) -> None:
    before = gate(tmp_path)
    assert refused(before, [sent(attack)]) == 1
    assert refused(learnt(honest(before)), [sent(attack)]) == 1


def test_a_normal_text_of_a_document_in_a_string_hides_no_other(
    tmp_path: Path, learnt: Callable[[list[Event]], Offline]
) -> None:
    before = gate(tmp_path)
    texts = [json.dumps({"a": REPORTS[number % 3].format(number)}) for number in range(100)]
    events = [event_of(before, sent(text), f"account-{n % 20}", n) for n, text in enumerate(texts)]
    after = learnt(events)
    assert refused(after, map(sent, texts)) == 0
    for attack in ("1' and sleep(5)-- ", "x' or '1'='1", "1 union select a,b from users-- ", "drop database prod; --"):
        assert refused(after, [sent(json.dumps({"a": HONEST, "b": attack}))]) == 1, attack


def test_a_path_that_a_sender_chooses_is_not_learnt(tmp_path: Path) -> None:
    before = gate(tmp_path)
    for path in ("/*", "/*a*a*b", "/a\uffff", "/a\x85b"):
        request = sent(HONEST)
        events = [event_of(before, request, "", n, f"198.51.{n}.1") for n in range(9)]
        found = learn([replace(one, path=path) for one in events], 5, 0.25, 1)
        assert not found.normal and not found.few, path


def test_patterns_are_linear() -> None:
    assert not pattern("/" + "*a" * 40 + "*b")("/" + "a" * 20_000), "it would never return with an expression"
    assert pattern("body:/a/*/b*")("body:/a/1/bc") and not pattern("a*a")("a") and pattern("a*")("a")


def test_what_is_passed_is_shown_with_its_reason(tmp_path: Path, learnt: Callable[[list[Event]], Offline]) -> None:
    decision = learnt(honest(gate(tmp_path))).decide(sent(REPORTS[0].format(1))).decision
    assert decision.verdict == "allow"
    assert [(one.code, one.verdict, one.where) for one in decision.findings] == [
        ("injection.sql", "allow", "body:/report")
    ]
    assert "normal for this field" in decision.findings[0].detail
    assert "normal here: 20 of 20 callers" in decision.findings[0].evidence
    observed = gate(tmp_path, "observe").decide(sent(REPORTS[0].format(1))).decision
    assert observed.verdict == "deny" and "normal here: 20 of 20 callers" in observed.findings[0].evidence


def test_few_of_many_change_no_verdict(tmp_path: Path, learnt: Callable[[list[Event]], Offline]) -> None:
    before = gate(tmp_path)
    plain = [event_of(before, sent("hello"), f"account-{number % 17}", number) for number in range(850)]
    poison = [SQL, XSS, "x' or '1'='1", "{{a.b()}}", REPORTS[0].format(1), "rm -rf /tmp/x", "http://10.0.0.1/x"]
    many = [
        event_of(before, sent(poison[number % len(poison)]), f"poisoner-{number % 3}", 1000 + number)
        for number in range(210)
    ]
    found = learn([*plain, *many], 5, 0.25, 1)
    assert found.normal == [] and {one.callers for one in found.few} == {3} and {one.of for one in found.few} == {20}
    after = learnt([*plain, *many])
    assert [refused(after, [sent(one)]) for one in poison] == [refused(before, [sent(one)]) for one in poison]


def test_what_breaks_out_stays_refused_even_where_all_send_it(
    tmp_path: Path, learnt: Callable[[list[Event]], Offline]
) -> None:
    before = gate(tmp_path)
    attacks = [SQL, "x' or '1'='1", "<script>alert(1)</script>", "a; cat /etc/passwd", "${jndi:ldap://a.example/x}"]
    events = [event_of(before, sent(attacks[n % 5]), f"account-{n // 5}", n) for n in range(100)]
    assert learn(events, 5, 0.25, 1).normal
    assert refused(learnt(events), map(sent, attacks)) == len(attacks)


def test_unknown_callers_are_networks_and_count_only_where_nobody_is_known(tmp_path: Path) -> None:
    before = gate(tmp_path)
    text = REPORTS[0].format(1)
    one_network = [event_of(before, sent(text), "", n, f"192.0.2.{n}") for n in range(50)]
    assert learn(one_network, 5, 0.25, 1).normal == []
    one_customer = [event_of(before, sent(text), "", n, f"2001:db8:0:{n:x}::{n}") for n in range(50)]
    assert learn(one_customer, 5, 0.25, 1).normal == []
    networks = [event_of(before, sent(text), "", n, f"198.51.{n}.1") for n in range(50)]
    assert learn(networks, 5, 0.25, 1).normal[0].callers == 50
    known = [event_of(before, sent("hello"), f"account-{n}", n) for n in range(10)]
    assert learn([*networks, *known], 5, 0.25, 1).normal == []


def test_what_something_else_refused_is_not_counted(tmp_path: Path) -> None:
    events = honest(gate(tmp_path))
    other = Finding("limits.rate", "Too many requests.", 429)
    assert learn([replace(one, findings=(*one.findings, other)) for one in events], 5, 0.25, 1).normal == []


def test_the_file_is_read_as_it_is_written_and_a_line_may_be_taken_out(tmp_path: Path) -> None:
    normal = learn(honest(gate(tmp_path)), 5, 0.25, 1).normal
    file = tmp_path / "p.yaml"
    file.write_text(as_text(normal))
    read = read_profile(file)[0].normal
    assert sorted(map(str, read)) == sorted(map(str, normal)) and as_text(read) == as_text(normal)
    assert difference(read, read[1:]) == ([], [read[0]]) and difference([], read)[0] == read
    assert "SELECT" not in as_text(normal) and "orders" not in as_text(normal)
    file.write_text(as_text([]))
    assert read_profile(file)[0].normal == []


@pytest.mark.parametrize(
    "text",
    [
        "normal: []\n",
        "version: 1\nnormal: [{field: 'body:/a'}]\n",
        "- a\n",
        "version: 1\nnormal: [{path: /a, operation: b, field: 'body:/a', family: sql, rule: statement, requests: 1, callers: 1, of: 1, addresses: 1, days: 1}]\n",
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sallygate.profile.yaml").write_text(text)
    with pytest.raises(PolicyError, match=r"sallygate\.profile\.yaml"):
        gate(tmp_path, "apply")


def test_a_profile_that_is_missing(tmp_path: Path) -> None:
    assert gate(tmp_path, "observe").decide(sent(SQL)).decision.verdict == "deny"
    with pytest.raises(PolicyError, match="sallygate profile --apply"):
        gate(tmp_path, "apply")


def test_a_change_of_the_profile_is_another_policy(tmp_path: Path) -> None:
    gate(tmp_path, "observe")
    first = load_policy(tmp_path / "sallygate.yaml", "replay")
    (tmp_path / "sallygate.profile.yaml").write_text(as_text(learn(honest(gate(tmp_path)), 5, 0.25, 1).normal))
    gate(tmp_path, "observe")
    second = load_policy(tmp_path / "sallygate.yaml", "replay")
    assert first.hash != second.hash and tmp_path / "sallygate.profile.yaml" in second.watched_files
    assert isinstance(second.profile.normal[0] if second.profile else None, Normal)


def test_the_command_shows_and_writes(tmp_path: Path) -> None:
    log = EventLog(tmp_path / ".sallygate" / "events", 1000, 1e9, print)
    log.start()
    for event in honest(gate(tmp_path, "observe")):
        log.put(event)
    log.stop()
    file = tmp_path / "sallygate.yaml"

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["profile", str(file), "--since", "9999d", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    shown = run()
    assert "body:/report" in shown and "--apply" in shown and not (tmp_path / "sallygate.profile.yaml").exists()
    assert json.loads(run("--json"))["normal"][0]["callers"] == 20
    run("--apply")
    assert "0 new, 0 gone" in run()
    assert "not normal" in run("--callers", "21")
    (tmp_path / "sallygate.profile.yaml").write_text("version: 1\n")
    assert CliRunner().invoke(app, ["profile", str(file), "--apply"]).exit_code == 2, "another kind of file"
