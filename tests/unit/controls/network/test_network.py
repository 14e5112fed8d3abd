"""From where callers may come: lists, partner mode, countries, networks, and rules for some requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import Bench, code
from sallygate.offline.decide import Offline
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from sallygate.state.geography import Geography
from support import make_key, write_policy

WHERE = {
    "198.51.100.1": {"country": {"iso_code": "NO"}, "autonomous_system_number": 64496},
    "198.51.100.2": {"country": {"iso_code": "FR"}, "autonomous_system_number": 64497},
    "198.51.100.3": {"country": {"iso_code": "BR"}},
}


@pytest.fixture
def bench(tmp_path: Path):
    def make(network: str, plan: str = "large", **files: str) -> Bench:
        for name, text in files.items():
            (tmp_path / f"{name}.txt").write_text(text)
        policy = write_policy(tmp_path, f"network: {network}\n")
        key = make_key(policy, plan)
        made = Bench(Offline(policy), key)
        made.offline.state.geography = Geography([WHERE.get])
        return made

    return make


def said(outcome: Any) -> tuple[str, str]:
    """Reason and evidence."""
    finding = outcome.decision.findings[0] if outcome.decision.findings else None
    return (code(outcome), finding.evidence) if finding else ("", "")


def test_denied_addresses_are_refused_and_allowed_ones_come_in_all_the_same(bench) -> None:
    gate = bench("{deny: [198.51.100.0/24, '2001:db8::/32'], allow: [198.51.100.7]}")
    assert code(gate.admit(client="198.51.100.1")) == "network.denied"
    assert code(gate.admit(client="2001:db8:1::1")) == "network.denied"
    assert code(gate.admit(client="::ffff:198.51.100.1")) == "network.denied"
    assert code(gate.admit(client="198.51.100.7")) == ""
    assert code(gate.admit(client="192.0.2.1")) == ""


def test_what_is_refused_says_nothing_of_why(bench) -> None:
    refused = bench("{deny: [198.51.100.0/24]}").admit(client="198.51.100.1")
    (finding,) = refused.decision.findings
    assert refused.decision.status == 403 and "198.51" not in finding.detail and "list" not in finding.detail


def test_in_partner_mode_only_the_listed_come_in(bench) -> None:
    gate = bench("{only: [{file: partners.txt}, 192.0.2.0/25]}", partners="# ours\n198.51.100.0/30  # the bank\n\n")
    assert code(gate.admit(client="198.51.100.1")) == "" and code(gate.admit(client="192.0.2.1")) == ""
    assert code(gate.admit(client="198.51.100.4")) == "network.not_listed"
    assert code(gate.admit(client="")) == "network.not_listed"


def test_a_partner_list_with_nothing_in_it_lets_nobody_in(bench) -> None:
    assert code(bench("{only: [{file: partners.txt}]}", partners="# none yet\n").admit()) == "network.not_listed"


def test_a_list_put_anew_counts_for_the_next_request(bench) -> None:
    gate = bench("{deny: [{file: bad.txt}]}", bad="198.51.100.1\n")
    assert code(gate.admit(client="198.51.100.1")) == "network.denied"
    from sallygate.parsing.addresses import prefix_set

    gate.offline.loaded.lists["bad.txt"] = prefix_set(("198.51.100.2",))
    assert code(gate.admit(client="198.51.100.1")) == "" and code(gate.admit(client="198.51.100.2")) == "network.denied"


@pytest.mark.parametrize(
    ("countries", "refused"),
    [
        ("{deny: [NO]}", {"198.51.100.1": "NO"}),
        ("{allow: [NO]}", {"198.51.100.2": "FR", "198.51.100.3": "BR", "192.0.2.1": "unknown"}),
        ("{allow: [no], unknown: allow}", {"198.51.100.2": "FR", "198.51.100.3": "BR"}),
        ("{continents: [EU]}", {"198.51.100.3": "BR", "192.0.2.1": "unknown"}),
        ("{continents: [EU], deny: [FR]}", {"198.51.100.2": "FR", "198.51.100.3": "BR", "192.0.2.1": "unknown"}),
        ("{continents: [SA], allow: [FR]}", {"198.51.100.1": "NO", "192.0.2.1": "unknown"}),
        ("{deny_continents: [EU]}", {"198.51.100.1": "NO", "198.51.100.2": "FR"}),
        ("{unknown: deny}", {"192.0.2.1": "unknown"}),
    ],
)
def test_countries(bench, countries: str, refused: dict[str, str]) -> None:
    gate = bench(f"{{countries: {countries}}}")
    found = {client: said(gate.admit(client=client)) for client in (*WHERE, "192.0.2.1")}
    expected = {client: ("network.country", refused[client]) if client in refused else ("", "") for client in found}
    assert found == expected


def test_networks_are_refused_by_number(bench) -> None:
    gate = bench("{asns: [AS64496]}")
    assert said(gate.admit(client="198.51.100.1")) == ("network.asn", "AS64496")
    assert code(gate.admit(client="198.51.100.2")) == "" and code(gate.admit(client="192.0.2.1")) == ""


def test_allow_beats_countries_and_networks(bench) -> None:
    gate = bench("{allow: [198.51.100.1], countries: {deny: [NO]}, asns: [64496]}")
    assert code(gate.admit(client="198.51.100.1")) == ""


def test_a_rule_for_methods_and_operations_holds_for_those_alone(bench) -> None:
    gate = bench("{rules: [{methods: [POST], countries: {deny: [NO]}}, {operations: [getThing], asns: [64497]}]}")
    assert code(gate.admit(client="198.51.100.1")) == ""
    assert said(gate.admit(client="198.51.100.1", method="POST")) == ("network.country", "NO")
    assert said(gate.admit("/things/1", client="198.51.100.2")) == ("network.asn", "AS64497")
    assert code(gate.admit(client="198.51.100.2")) == ""


def test_a_rule_for_an_operation_speaks_before_anybody_is_asked_who_calls(bench) -> None:
    gate = bench("{rules: [{operations: [getThing], deny: [192.0.2.1]}]}")
    assert code(gate.admit("/things/1", key=None)) == "network.denied"
    assert code(gate.admit("/things", key=None)) == "identity.missing"


@pytest.mark.parametrize("selector", ["plans: [large]", "accounts: [acme]", "plans: [large], methods: [GET]"])
def test_a_rule_binds_callers_to_their_addresses(bench, selector: str) -> None:
    gate = bench(f"{{allow: [198.51.100.9], rules: [{{{selector}, only: [198.51.100.0/29]}}]}}")
    assert code(gate.admit(client="198.51.100.1")) == ""
    assert code(gate.admit(client="192.0.2.1")) == "network.not_listed"
    assert code(gate.admit(client="198.51.100.9")) == "network.not_listed", "the list for all is none for this account"
    assert code(gate.admit("/status", client="192.0.2.1", key=None)) == "", "others are not bound"


def test_a_rule_binds_one_key(bench, tmp_path: Path) -> None:
    gate = bench("{deny: [203.0.113.1]}")
    key_id = next(iter(gate.offline.state.credentials._known))
    policy = write_policy(tmp_path, f"network: {{rules: [{{keys: [{key_id}], only: [198.51.100.1]}}]}}\n")
    bound = Bench(Offline(policy), gate.key)
    assert code(bound.admit(client="192.0.2.1")) == "network.not_listed"
    assert code(bound.admit(client="198.51.100.1")) == ""


def test_in_shadow_nobody_is_refused(bench) -> None:
    outcome = bench("{mode: shadow, deny: [192.0.2.0/24]}").admit()
    assert outcome.decision.verdict == "allow"
    assert [(one.code, one.mode) for one in outcome.decision.findings] == [("network.denied", "shadow")]


@pytest.mark.parametrize(
    ("network", "said_"),
    [
        ("{deny: [192.0.2.1/24]}", "has host bits set"),
        ("{deny: [example.com]}", "not an address or prefix"),
        ("{countries: {deny: [Norway]}}", "is not a country"),
        ("{countries: {deny: [XX]}}", "is not a country"),
        ("{countries: {continents: [Europe]}}", "is not a continent"),
        ("{countries: {}}", "names no country"),
        ("{asns: [AS0]}", "is not a network number"),
        ("{asns: [cloud]}", "is not a network number"),
        ("{rules: [{deny: [192.0.2.1]}]}", "applies to every request"),
        ("{rules: [{plans: [large]}]}", "refuses nothing"),
        ("{rules: [{plans: [gold], only: [192.0.2.1]}]}", "the policy has no plan `gold`"),
        ("{rules: [{operations: [nope], only: [192.0.2.1]}]}", "no operation `nope`"),
        ("{rules: [{methods: [post], only: [192.0.2.1]}]}", "is not a method"),
        ("{deny: [{file: gone.txt}]}", "the list `gone.txt` cannot be read"),
        ("{databases: [gone.mmdb]}", "`gone.mmdb` is not a readable MMDB file"),
        ("{denied: [192.0.2.1]}", "did you mean `deny`?"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(tmp_path: Path, network: str, said_: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_policy(write_policy(tmp_path, f"network: {network}\n"))
    assert said_ in str(refused.value)


def test_one_bad_line_refuses_the_list_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("192.0.2.1\n# fine\n192.0.2.0/24 extra\n\n300.1.1.1\n")
    with pytest.raises(PolicyError) as refused:
        load_policy(write_policy(tmp_path, "network: {deny: [{file: bad.txt}]}\n"))
    assert [(Path(one.file).name, one.line, one.code) for one in refused.value.problems] == [
        ("bad.txt", 3, "policy.list"), ("bad.txt", 5, "policy.list")
    ]  # fmt: skip
