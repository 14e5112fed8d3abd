"""The command line as it is typed: output, exit codes, and help for everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sallygate.cli import app
from sallygate.security.kept_patterns import is_patterns_file, keep_patterns_ahead
from support import OPENAPI, make_key, write_policy


def run(*words: object, code: int = 0, text: str | None = None):
    result = CliRunner().invoke(app, [str(word) for word in words], input=text)
    assert result.exit_code == code, f"{words}: {result.output}{result.exception!r}"
    return result


def commands() -> list[list[str]]:
    import typer.main

    found: list[list[str]] = []

    def walk(command, path: list[str]) -> None:
        if inner := getattr(command, "commands", None):
            for name, sub in inner.items():
                walk(sub, [*path, name])
        else:
            found.append(path)

    walk(typer.main.get_command(app), [])
    return found


def test_every_command_has_help_with_an_example() -> None:
    names = [" ".join(path) for path in commands()]
    assert len(names) >= 16
    for path in commands():
        shown = run(*path, "--help").output
        assert "Example: sallygate " + " ".join(path) in " ".join(shown.replace("│", " ").split()), path


def test_init_check_and_the_first_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("openapi.json").write_text(json.dumps(OPENAPI))
    run("init", "--openapi", "openapi.json", "--upstream", "http://127.0.0.1:9000")
    assert (
        "getStatus" in run("init", "--openapi", "openapi.json", "--upstream", "http://127.0.0.1:9000", "--force").output
    )
    run("init", "--openapi", "openapi.json", "--upstream", "http://127.0.0.1:9000", code=2)
    assert json.loads(run("check", "sallygate.yaml", "--json").stdout)["operations"] == 4
    assert "is valid" in run("check", "sallygate.yaml").output
    key = json.loads(run("keys", "create", "--account", "me", "--plan", "free", "--json").stdout)
    assert key["key"].startswith("sg_") and key["plan"] == "free"


def test_init_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no such file" in run("init", "--openapi", "missing.yaml", "--upstream", "http://127.0.0.1:1", code=2).output
    Path("bad.json").write_text("{}")
    assert "policy.contract" in run("init", "--openapi", "bad.json", "--upstream", "http://127.0.0.1:1", code=1).output
    assert not Path("sallygate.yaml").exists(), "no policy that cannot be used is left behind"
    Path("sallygate.yaml").write_text("version: 1\n")
    run("init", "--openapi", "bad.json", "--upstream", "http://127.0.0.1:1", "--force", code=1)
    assert Path("sallygate.yaml").read_text() == "version: 1\n"


def test_check_prints_every_problem_as_file_line_code(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("version: 1\nupstrem: x\nlimits: {address: fast}\n")
    shown = run("check", file, code=1).stderr
    assert f"{file}:2: policy.unknown_field:" in shown and f"{file}:3: policy.value:" in shown
    problems = json.loads(run("check", file, "--json", code=1).stdout)["problems"]
    assert [problem["line"] for problem in problems] == [2, 3]
    run("check", tmp_path / "missing.yaml", code=1)


def test_keys_from_making_to_revoking(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    made = run("keys", "create", "-p", policy, "--account", "alice", "--plan", "small", "--for", "1d")
    text = made.stdout.strip()
    key_id = text.split("_")[1]
    listed = run("keys", "list", "-p", policy)
    assert key_id in listed.stdout and text not in listed.output
    rotated = json.loads(run("keys", "rotate", key_id, "--keep", "1h", "-p", policy, "--json").stdout)
    assert rotated["replaces"] == key_id and rotated["key"] != text
    assert json.loads(run("keys", "show", key_id, "-p", policy, "--json").stdout)["state"] == "rotating"
    assert "revoked" in run("keys", "revoke", key_id, "-p", policy).stdout
    assert json.loads(run("keys", "list", "--account", "bob", "-p", policy, "--json").stdout) == []
    assert "no plan" in run("keys", "create", "-p", policy, "--account", "a", "--plan", "gold", code=2).stderr
    assert "no key" in run("keys", "show", "nope", "-p", policy, code=2).stderr
    assert text not in run("events", "-p", policy, "--json").output


def test_of_a_scope_given_twice_neither_is_left_open_in_silence(tmp_path: Path) -> None:
    policy = str(write_policy(tmp_path))
    add = ["restrict", "add", "-p", policy, "--reason", "flood"]
    refused = run(*add, "--country", "BR", "--country", "DE", code=2).stderr
    assert "--country is given 2 times; make a restriction for each" in refused
    assert "say how much as its rate" in run(*add, "--country", "BR", "--act", "throttle", code=2).stderr
    assert "no restrictions" in run("restrict", "list", "-p", policy).stdout


def test_restrictions_from_adding_to_lifting(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    add = ["restrict", "add", "-p", policy, "--reason", "scraping"]
    made = json.loads(run(*add, "--address", "203.0.113.7", "--for", "2h", "--json").stdout)
    assert made["scope"] == {"address": "203.0.113.7"} and made["state"] == "in force"
    assert "scraping" in run("restrict", "list", "-p", policy).stdout
    assert json.loads(run("restrict", "show", made["id"], "-p", policy, "--json").stdout)["reason"] == "scraping"
    assert "lifted" in run("restrict", "lift", made["id"], "-p", policy).stdout
    assert "no restrictions" in run("restrict", "list", "-p", policy).stdout
    assert made["id"] in run("restrict", "list", "--all", "-p", policy).stdout
    run(*add, code=2)
    run(*add, "--operation", "nope", code=2)
    run(*add, "--account", "a", "--act", "explode", code=2)
    run(*add, "--prefix", "10.0.0.0/4", code=2)
    run(*add, "--account", "a", "--act", "throttle", "--rate", "1/s")
    run("restrict", "lift", "nope", "-p", policy, code=2)


def test_explain_says_why(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    key = make_key(policy)
    good = tmp_path / "good.http"
    good.write_text(f"GET /things?limit=2 HTTP/1.1\nHost: a\nX-API-Key: {key}\n\n")
    shown = run("explain", good, "-p", policy).stdout
    assert "allow" in shown and "listThings" in shown and "acme" in shown and key not in shown
    curl = f"curl -H 'X-API-Key: {key}' 'https://h/things?limit=0&evil=1'"
    bad = json.loads(run("explain", "-", "-p", policy, "--json", code=1, text=curl).stdout)
    assert bad["decision"] == "deny" and bad["status"] == 400 and bad["operation"] == "listThings"
    assert [step["control"] for step in bad["steps"]][-1] == "contract"
    assert {finding["where"] for finding in bad["findings"]} == {"query:limit", "query:evil"}
    run("explain", tmp_path / "missing", "-p", policy, code=2)
    assert "allow" in run("explain", policy, good).stdout
    assert "one file of a request" in run("explain", policy, good, good, code=2).stderr
    assert "line 1" in run("explain", "-", "-p", policy, code=2, text="nonsense").stderr


def test_replay_writes_decisions_and_a_summary(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    file = tmp_path / "r.jsonl"
    file.write_text('{"url":"/status"}\n{"url":"/things"}\n')
    shown = run("replay", policy, file, "--out", tmp_path / "out.jsonl").stdout
    assert "identity.missing" in shown and "2 requests" in shown
    decisions = [json.loads(line)["decision"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert decisions == ["allow", "deny"]
    assert json.loads(run("replay", policy, file, "--json").stdout)["decisions"] == {"allow": 1, "deny": 1}
    file.write_text("{}\n")
    run("replay", policy, file, code=1)
    run("replay", policy, tmp_path / "missing", code=2)
    assert "is a policy" in run("replay", policy, code=2).stderr


def test_events_shows_acts_and_refuses_nonsense(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    make_key(policy)
    assert "key.create" in run("events", "-p", policy).stdout
    run("events", "-p", policy, "--decision", "maybe", code=2)
    run("events", "-p", policy, "--since", "yesterday", code=2)
    run("events", "--state-dir", tmp_path / "nowhere", code=3)


def test_an_installation_that_cannot_be_used_is_exit_code_3(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    (tmp_path / "state").write_text("a file")
    assert "state directory" in run("keys", "list", "-p", policy, code=3).stderr
    run("keys", "list", "--state-dir", tmp_path / "nowhere", code=3)


def test_no_command_overwrites_what_is_not_its_own_kind(tmp_path: Path) -> None:
    """A typing error would cost the policy."""
    policy = write_policy(tmp_path)
    recording = tmp_path / "requests.jsonl"
    recording.write_text('{"url":"/things"}\n')
    for file in (policy, recording, tmp_path / "openapi.json"):
        before = file.read_bytes()
        for command in (("patterns", file), ("replay", policy, recording, "--out", file)):
            assert "is another kind of file" in run(*command, code=2).stderr
            assert file.read_bytes() == before
    out = tmp_path / "out.jsonl"
    for _ in range(2):
        run("replay", policy, recording, "--out", out)
    assert out.read_bytes().count(b'"decision":') == 1


def test_the_files_that_a_command_wrote_are_known_again(tmp_path: Path) -> None:
    file = tmp_path / "patterns.bin"
    keep_patterns_ahead(file, "0123456789abcdef", b"compiled")
    assert is_patterns_file(file, 16)
    file.write_bytes(file.read_bytes() + b"x")
    assert not is_patterns_file(file, 16)


def test_init_names_the_paths_that_look_internal(tmp_path: Path) -> None:
    paths = {path: {"get": {"operationId": path.strip("/").replace("/", "_")}} for path in
             ("/users/_debug", "/admin/users", "/v1/reset", "/administrators", "/users/{id}", "/profiles", "/tests")}  # fmt: skip
    (tmp_path / "openapi.json").write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    out = run(
        "init", "--openapi", tmp_path / "openapi.json", "--upstream", "http://127.0.0.1:9", "--out", tmp_path / "p.yaml"
    )
    (line,) = [line for line in out.output.splitlines() if line.startswith("look internal")]
    assert line == "look internal: users__debug, admin_users, v1_reset"
    assert "deny: true" in out.output
