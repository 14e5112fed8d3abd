"""The policy file: every problem at once, each with its line and what to do; nothing weakened in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from sallygate.policy.schema import Policy
from sallygate.policy.units import read_budget, read_bytes, read_duration_s, read_endpoint, read_rate
from support import OPENAPI, write_policy


def problems(directory: Path, text: str, door="gateway") -> list[tuple[int, str, str]]:
    (directory / "openapi.json").write_text(json.dumps(OPENAPI))
    file = directory / "p.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(file, door)
    assert all(str(problem).startswith(str(file)) or "openapi" in str(problem) for problem in caught.value.problems)
    return [(problem.line, problem.code, problem.message + " " + problem.hint) for problem in caught.value.problems]


GOOD = """version: 1
upstream: http://127.0.0.1:9000
openapi: openapi.json
identity: {api_keys: {header: X-API-Key}}
"""


def test_a_small_policy_gets_finite_defaults(tmp_path: Path) -> None:
    loaded = load_policy(write_policy(tmp_path, "plans: {}"))
    plan = loaded.plans["default"]
    assert plan.rate.per_s == 10 and plan.quota.hour and plan.data.bytes and plan.concurrent
    assert loaded.policy.contract.unknown_query == "refuse"
    assert len(loaded.operations) == 4 and len(loaded.hash) == 12


def test_all_errors_come_at_once_with_their_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "version: 1\nupstrem: x\nlimits:\n  address: fast\n  on_exceed: maybe\nplans:\n  a: {rate: 1/s, quota: {hour: 0}}\n",
    )
    assert [(line, code) for line, code, _ in found] == [
        (2, "policy.unknown_field"),
        (4, "policy.value"),
        (5, "policy.value"),
        (7, "policy.value"),
    ]
    assert "did you mean `upstream`" in found[0][2]
    assert "10/s" in found[1][2]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("version: 2\n", 1, "policy.value"),
        ("version: 1\nversion: 1\n", 2, "policy.duplicate"),
        ("version: 1\nplans:\n  a: {rate: 1/s}\n  a: {rate: 9/s}\n", 4, "policy.duplicate"),
        ("version: 1\nidentity:\n", 2, "policy.value"),
        ("version: 1\nopenapi:\n", 2, "policy.value"),
        ("- a\n", 1, "policy.syntax"),
        ("version: [1\n", 2, "policy.syntax"),
        (GOOD + "transport: {trusted_hops: [10.0.0.0/8, 10.0.0.300/32]}\n", 5, "policy.value"),
        (GOOD + "transport: {trusted_hops: [10.0.0.1/8]}\n", 5, "policy.value"),
        (GOOD + "workers: 4\n", 5, "policy.unsafe"),
        (GOOD + "operations: {listThings: {deny: true}}\nclients: {mode: off}\n", 5, "policy.unsafe"),
        (GOOD + "clients: {cors: {origins: ['*'], credentials: true}}\n", 5, "policy.unsafe"),
        (GOOD + "clients: {cors: {origins: [app.example]}}\n", 5, "policy.value"),
        (GOOD + "operations: {listThing: {cost: 2}}\n", 5, "policy.reference"),
        (GOOD.replace("}}", "}, public: [nope]}"), 4, "policy.reference"),
        (GOOD.replace("127.0.0.1", "10.0.0.1"), 2, "policy.unsafe"),
        (GOOD.replace("http://127.0.0.1:9000", "ftp://x"), 2, "policy.value"),
        (GOOD.replace("http://127.0.0.1:9000", "http://u:p@127.0.0.1"), 2, "policy.value"),
        (GOOD + "listen: {https: 8443}\n", 5, "policy.value"),
        (GOOD + "limits: {time_zone: Mars/Olympus}\n", 5, "policy.value"),
        (GOOD + "contract: {mode: disabled}\n", 5, "policy.value"),
        (GOOD + "operations: {listThings: {records: items}}\n", 5, "policy.value"),
        ("upstream: http://127.0.0.1:1\n", 1, "policy.missing"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, line: int, code: str) -> None:
    assert (line, code) in [(at, what) for at, what, _ in problems(tmp_path, text)]


@pytest.mark.parametrize("text", ["limits: 5", "plans: [a]", "flood: {shedding: on}", "operations: {listThings: yes}"])
def test_a_value_where_a_section_belongs_is_called_so(tmp_path: Path, text: str) -> None:
    ((line, _, said),) = problems(tmp_path, GOOD + text + "\n")
    assert line == 5 and "is a section, not a value" in said and "under it" in said, said


def test_running_without_must_be_written(tmp_path: Path) -> None:
    codes = [code for _, code, _ in problems(tmp_path, "version: 1\n")]
    assert codes == ["policy.missing"] * 3
    file = tmp_path / "none.yaml"
    file.write_text("version: 1\nupstream: http://127.0.0.1:9\nopenapi: none\nidentity: none\n")
    assert load_policy(file).document is None
    replayed = tmp_path / "replay.yaml"
    replayed.write_text("version: 1\n")
    assert load_policy(replayed, "replay").policy.limits is None


def test_words_mean_what_they_say(tmp_path: Path) -> None:
    """YAML 1.1 reads `off` and `NO` as false; here the former is a mode and the latter a name."""
    file = write_policy(tmp_path, "contract: {mode: off}\nplans: {NO: {rate: 1/s}}")
    loaded = load_policy(file)
    assert loaded.policy.contract.mode == "off"
    assert list(loaded.plans) == ["NO"]


def test_a_broken_contract_names_its_file(tmp_path: Path) -> None:
    file = write_policy(tmp_path)
    (tmp_path / "openapi.json").write_text('{"swagger": "2.0"}')
    with pytest.raises(PolicyError, match=r"openapi\.json.*policy\.contract"):
        load_policy(file)
    (tmp_path / "openapi.json").unlink()
    with pytest.raises(PolicyError, match=r"policy\.file"):
        load_policy(file)


def test_the_hash_follows_policy_and_contract(tmp_path: Path) -> None:
    first = load_policy(write_policy(tmp_path)).hash
    assert load_policy(write_policy(tmp_path)).hash == first
    changed = {**OPENAPI, "info": {"title": "other", "version": "1"}}
    assert load_policy(write_policy(tmp_path, openapi=changed)).hash != first


def test_units() -> None:
    assert read_duration_s("10m") == 600 and read_duration_s("300ms") == 0.3
    assert read_bytes("1MiB") == 1 << 20 and read_bytes("50MB") == 50_000_000
    rate = read_rate("600/min")
    assert (rate.per_s, rate.burst) == (10.0, 10)
    assert read_rate("1/min").burst == 1
    assert read_budget("50MB/day", of_bytes=True).most == 50_000_000
    assert read_endpoint("[::1]:8443") == ("::1", 8443)
    for reader, bad in [
        (read_rate, "10"), (read_rate, "-1/s"), (read_rate, "10/s burst 0"), (read_rate, "0/s"),
        (read_rate, "9999999/s"), (read_duration_s, "10"), (read_duration_s, "1e9s"), (read_bytes, "5 potatoes"),
        (read_endpoint, "localhost:1"), (read_endpoint, "127.0.0.1:99999"),
    ]:  # fmt: skip
        with pytest.raises(ValueError):
            reader(bad)


def test_every_field_is_documented() -> None:
    def undocumented(schema: dict, name: str) -> list[str]:
        return [f"{name}.{field}" for field, about in schema.get("properties", {}).items()
                if not about.get("description") and "$ref" not in about]  # fmt: skip

    schema = Policy.model_json_schema()
    missing = undocumented(schema, "Policy")
    for name, section in schema["$defs"].items():
        missing += undocumented(section, name)
    assert not missing


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("injection: {exclude: [{family: sql, field: 'query:q', operation: listThing}]}", "no operation `listThing` did you mean `listThings`?"),
        ("injection: {kinds: [{field: 'body:/name', kind: text, operation: nothing}]}", "no operation `nothing`"),
        ("operations: {createThing: {body: 0}}", "operations.createThing.body"),
    ],
)  # fmt: skip
def test_a_typing_error_that_would_change_nothing_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    ((_, _, message),) = problems(tmp_path, GOOD + text + "\n")
    assert said in message
