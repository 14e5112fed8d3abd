"""How commands name the policy, and what they say of sections that are not enforced and of feeds that are files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sallygate.cli import app
from sallygate.policy.load import load_policy
from sallygate.policy.modes import not_enforced
from support import running_gateway, write_policy


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


COMMANDS: list[tuple[list[str], list[str]]] = [
    (["check"], []),
    (["tune"], []),
    (["events"], []),
    (["doctor"], []),
    (["replay"], ["recorded.jsonl"]),
]


@pytest.mark.parametrize(("before", "after"), COMMANDS, ids=lambda words: " ".join(words))
def test_every_command_takes_the_policy_as_an_argument_or_an_option(
    tmp_path: Path, before: list[str], after: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = write_policy(tmp_path / "there", "state: state\n")
    (tmp_path / "there/state").mkdir(mode=0o700)
    (tmp_path / "recorded.jsonl").write_text('{"method": "GET", "url": "/things"}\n')
    monkeypatch.chdir(tmp_path)
    named = [run(*before, str(policy), *after), run(*before, *after, "-p", str(policy))]
    monkeypatch.setenv("SALLYGATE_POLICY", str(policy))
    named.append(run(*before, *after))
    assert [one.exit_code for one in named] in ([0] * 3, [1] * 3), [one.output for one in named]
    first, *others = (re.sub(r"[\d.,]+", "N", one.output) for one in named)
    assert [one == first for one in others] == [True, True]


def test_two_policies_are_one_too_many(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    found = run("check", str(policy), "-p", str(tmp_path / "other.yaml"))
    assert found.exit_code == 2 and "two policies are named" in found.output


MODES = """contract: {mode: shadow}
injection: {mode: off}
flood: {shedding: {mode: shadow}}
operations: {listThings: {contract: {mode: off}}, createThing: {contract: {mode: enforce}}}
"""


def test_what_is_in_shadow_or_off_is_said(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, MODES)
    found = not_enforced(load_policy(policy).policy)
    assert found == {"shadow": ("flood.shedding", "contract"), "off": ("injection", "operations.listThings.contract")}
    shown = run("check", str(policy)).output
    assert "shadow: flood.shedding, contract" in shown and "off: injection, operations.listThings.contract" in shown
    assert json.loads(run("check", str(policy), "--json").stdout)["off"] == list(found["off"])
    assert "shadow (recorded, not refused): flood.shedding, contract" in run("doctor", str(policy), "--json").output
    with running_gateway(policy):
        shown = json.loads(run("status", str(policy), "--json").stdout)
        assert shown["not_enforced"] == {mode: list(names) for mode, names in found.items()}
        assert "flood.shedding, contract" in run("status", "-p", str(policy)).output


def test_a_policy_that_enforces_all_says_nothing(tmp_path: Path) -> None:
    assert not_enforced(load_policy(write_policy(tmp_path)).policy) == {}


def test_check_refuses_a_feed_file_that_feeds_check_refuses(tmp_path: Path) -> None:
    feed = tmp_path / "blocklist.txt"
    policy = write_policy(tmp_path, "network: {intelligence: [{name: list, file: blocklist.txt, act: deny}]}\n")
    feed.write_text("198.51.100.7\n203.0.113.0/24\n")
    assert run("check", str(policy)).exit_code == 0
    for content in ("0.0.0.0/0\n", "hello\nthere\nfriends\n"):
        feed.write_text(content)
        refused = run("feeds", "check", "--name", "list", "-p", str(policy))
        found = run("check", str(policy))
        assert refused.exit_code in (1, 3) and found.exit_code == 1
        assert "policy.feed" in found.output and "feed `list`" in found.output


def test_feeds_are_those_of_the_policy_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("198.51.100.7\n")
    section = "network: {{intelligence: [{{name: {}, file: a.txt}}]}}\n"
    policy = write_policy(tmp_path, section.format("running"))
    other = tmp_path / "other.yaml"
    other.write_text(policy.read_text().replace("name: running", "name: another"))
    with running_gateway(policy):
        names = [one["name"] for one in json.loads(run("feeds", "list", "-p", str(policy), "--json").stdout)]
        assert names == ["running"]
        names = [one["name"] for one in json.loads(run("feeds", "list", "-p", str(other), "--json").stdout)]
        assert names == ["another"]
        found = run("feeds", "refresh", "another", "--wait", "5s", "-p", str(other))
        assert found.exit_code == 3 and "the running gate has no feed another" in found.output
