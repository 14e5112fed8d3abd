"""Restrictions: by place, by who, by what; denied, terminated, challenged, throttled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench import Bench, code
from sallygate.model.access import KnownNetwork
from sallygate.model.outcome import Ask
from sallygate.model.restriction import Restriction
from sallygate.model.work import LoadLocations, LocationsLoaded
from sallygate.offline.decide import Offline
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.geography import Geography
from support import make_key, write_policy

WHERE = {
    "198.51.100.1": {"country": {"iso_code": "NO"}, "autonomous_system_number": 64496},
    "198.51.100.2": {"country": {"iso_code": "BR"}},
}


@pytest.fixture
def bench(tmp_path: Path):
    def make(text: str = "") -> Bench:
        policy = write_policy(tmp_path, text)
        key = make_key(policy, "large")
        made = Bench(Offline(policy), key)
        made.offline.state.geography = Geography([WHERE.get])
        return made

    return make


def restrict(bench: Bench, act: str = "deny", methods: tuple[str, ...] = (), **scope: str) -> Restriction:
    made = Restriction(
        f"r{len(bench.offline.state.restrictions.all)}", tuple(scope.items()), act, "because", "me",  # type: ignore[arg-type]
        bench.now, bench.now + 60, "1/s burst 1" if act == "throttle" else "", methods=methods,
    )  # fmt: skip
    add_restrictions(bench.offline.state, [made], bench.now)
    return made


@pytest.mark.parametrize("act", ["deny", "terminate"])
@pytest.mark.parametrize("scope", [{"country": "NO"}, {"continent": "EU"}, {"asn": "64496"}])
def test_a_region_is_closed_before_anybody_is_asked_who_calls(bench, act: str, scope: dict[str, str]) -> None:
    gate = bench()
    restrict(gate, act, **scope)
    outcome = gate.admit(client="198.51.100.1", key=None)
    assert (code(outcome), outcome.decision.verdict, outcome.decision.status) == (f"restriction.{act}", act, 403)
    assert code(gate.admit(client="198.51.100.2")) == "" and code(gate.admit(client="192.0.2.1")) == ""


def test_only_some_methods(bench) -> None:
    gate = bench()
    restrict(gate, methods=("POST", "PUT"), country="NO")
    assert code(gate.admit(client="198.51.100.1")) == ""
    assert code(gate.admit(client="198.51.100.1", method="POST")) == "restriction.deny"


def test_all_of_a_scope_must_match(bench) -> None:
    gate = bench()
    restrict(gate, country="NO", account="acme", operation="listThings")
    assert code(gate.admit(client="198.51.100.1")) == "restriction.deny"
    assert code(gate.admit(client="198.51.100.2")) == ""
    assert code(gate.admit("/things/1", client="198.51.100.1")) == ""


def test_partners_pass_a_closed_region_but_not_a_closed_account(bench) -> None:
    gate = bench("network: {allow: [198.51.100.1]}\n")
    restrict(gate, country="NO")
    restrict(gate, "challenge", country="NO")
    assert code(gate.admit(client="198.51.100.1")) == ""
    restrict(gate, account="acme", country="NO")
    assert code(gate.admit(client="198.51.100.1")) == "restriction.deny"


def test_the_strongest_act_decides(bench) -> None:
    gate = bench()
    restrict(gate, "throttle", country="NO")
    restrict(gate, "deny", continent="EU")
    assert code(gate.admit(client="198.51.100.1")) == "restriction.deny"
    restrict(gate, "terminate", address="198.51.100.1")
    assert code(gate.admit(client="198.51.100.1")) == "restriction.terminate"


def place(gate: Bench, **more: Any) -> KnownNetwork:
    (credential,) = gate.offline.state.credentials._known.values()
    return KnownNetwork(f"key:{credential.id}", "198.51.100.0/24", "verified", 0.0, **more)


@pytest.mark.parametrize("scope", [{"country": "NO"}, {"account": "acme"}, {"operation": "listThings"}])
def test_a_challenge_is_met_by_having_the_place_admitted_anew(bench, scope: dict[str, str]) -> None:
    gate = bench()
    made = restrict(gate, "challenge", **scope)
    known = place(gate)
    asked = gate.admit(client="198.51.100.1")
    assert isinstance(asked, Ask) and asked.work == (LoadLocations(known.principal),)

    def again(*places: KnownNetwork, failed: bool = False) -> Any:
        done = LocationsLoaded(known.principal, places, failed)
        return gate.offline.gate.engine.admit(gate.head(client="198.51.100.1"), gate.now, (done,))

    refused = again(known)
    assert (code(refused), refused.decision.verdict, refused.decision.status) == (
        "challenge.required",
        "challenge",
        403,
    )
    assert code(again(replace(known, verified_at=made.created_at - 1))) == "challenge.required"
    assert code(again(replace(known, verified_at=made.created_at))) == ""
    assert code(again(replace(known, verified_at=made.created_at, state="forgotten"))) == "challenge.required"
    assert code(again(replace(known, verified_at=made.created_at, network="192.0.2.0/24"))) == "challenge.required"
    assert code(again(failed=True)) == "challenge.required"


def test_whoever_is_not_known_cannot_meet_a_challenge(bench) -> None:
    gate = bench()
    restrict(gate, "challenge", country="NO")
    assert code(gate.admit("/status", client="198.51.100.1", key=None)) == "challenge.required"
    assert code(gate.admit("/things", client="198.51.100.1", key=None)) == "identity.missing"


def test_a_denial_comes_before_a_challenge(bench) -> None:
    gate = bench()
    restrict(gate, "challenge", country="NO")
    restrict(gate, "deny", account="acme")
    assert code(gate.admit(client="198.51.100.1")) == "restriction.deny"


def test_what_is_under_way_is_cut_by_a_termination_alone(bench) -> None:
    gate = bench("network: {allow: [198.51.100.2]}\n")
    engine, head = gate.offline.gate.engine, gate.head(client="198.51.100.1")
    admission = engine.admit(head, gate.now)
    restrict(gate, "deny", account="acme")
    assert not engine.ends(admission, head, gate.now)
    restrict(gate, "terminate", account="acme", country="NO")
    assert engine.ends(admission, head, gate.now)
    assert not engine.ends(admission, head, gate.now + 61), "it has ended"
    assert not engine.ends(admission, gate.head(client="198.51.100.2"), gate.now)
    restrict(gate, "terminate", country="BR")
    assert not engine.ends(admission, gate.head(client="198.51.100.2"), gate.now), "is on the list"
