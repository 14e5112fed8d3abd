"""Others' words in the output of commands: reasons, notes and paths begin no line and drive no terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from sallygate.admin.audit import act_of
from sallygate.cli import app
from sallygate.cli.terminal import fail, lines, out, print_json
from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.model.restriction import Restriction
from sallygate.stores.events import EventLog
from sallygate.stores.sqlite.store import SqliteStore
from support import make_key, write_policy

FORGED = "x\n12:00:00 allow    200 GET /forged\r\x1b[2J\x9b31m\u202e\u2028[/red]"
BAD = ("\x1b", "\x9b", "\r", "\u202e", "\u2028")


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = write_policy(tmp_path)
    make_key(file)
    state = tmp_path / "state"
    now = time.time()
    store = SqliteStore(state / "sallygate.db")
    act = act_of("restriction.add", FORGED, FORGED, FORGED, now)
    store.put_restriction(Restriction("r1", (("account", "a"),), "deny", FORGED, FORGED, now, now + 3600), act)
    key = store.credentials()[0]
    store.put_credentials([replace(key, note=FORGED)], act_of("key.create", "k", FORGED, FORGED, now))
    store.close()
    log = EventLog(state / "events", 10, 86400.0, print)
    log.start()
    log.put(Event(now, "r", "t", "deny", 403, "G\nX", FORGED, "192.0.2.1", Location("192.0.2.1"),
                  findings=(Finding("a.b", FORGED, rule=FORGED),), account=FORGED))  # fmt: skip
    log.stop()
    return file


@pytest.mark.parametrize(
    "words", [("events",), ("restrict", "list"), ("restrict", "history"), ("keys", "list"), ("events", "--json")]
)
def test_no_command_lets_a_line_be_forged(words: tuple[str, ...], policy: Path) -> None:
    shown = run(*words, "-p", policy)
    assert not any(bad in shown for bad in BAD)
    assert not any(line.lstrip("│ ").startswith("12:00:00 allow") for line in shown.splitlines())
    if words == ("events",):
        assert len(shown.splitlines()) == 4, "a key, a restriction and its second key, an event"
        assert "/forged\\x0d\\x1b[2J" in shown
    if "--json" in words:
        assert FORGED in {json.loads(line)["path"] for line in shown.splitlines()}


def test_every_way_to_print_shows_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with out.capture() as captured:
        out.print("a\nb\x1b[1m")
        out.print(lines(["c\x07", "d\ne"]))
    assert captured.get() == "a\\x0ab\\x1b[1m\nc\\x07\nd\\x0ae\n"
    print_json({"a": FORGED, "b": "\U000e0001"})
    shown = capsys.readouterr().out
    assert shown.strip().isprintable() and json.loads(shown) == {"a": FORGED, "b": "\U000e0001"}


def test_errors_name_things_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit):
        fail("no key\nerror: forged", 2)
    assert capsys.readouterr().err.count("\n") == 1
