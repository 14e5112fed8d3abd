"""`docs/extending.md` shows the code as it is: its blocks, the table of the phases, the transcript."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

from gatehouse import NOW, House, Request, policy_text
from sallygate.engine.evaluation import PARTS, TAKES, OpenEvaluation
from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.order import ORDER
from sallygate.model import control
from sallygate.model import driver as d
from sallygate.model.evaluation import Evaluation
from sallygate.model.judgement import Judgement

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/extending.md").read_text()
EXAMPLE = ("src/sallygate/policy/headers.py", "src/sallygate/controls/headers.py")


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", cell))


def rows(text: str = TEXT) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) in (2, 5)]


def test_the_blocks_are_in_the_files_they_name() -> None:
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.S)
    assert len(blocks) == len(re.findall("```python", TEXT)) >= 6
    for file, block in blocks:
        assert block in (ROOT / file).read_text(), f"{file} has not:\n{block}"


def test_the_whole_control_is_shown() -> None:
    source = (ROOT / EXAMPLE[1]).read_text()
    assert source[source.index("class ") :] in TEXT


def test_the_example_is_as_short_as_the_text_says() -> None:
    said = re.search(r"(\d+) lines of code", TEXT)
    assert said is not None and sum(map(code_lines, EXAMPLE)) == int(said[1]) < 60


def code_lines(file: str) -> int:
    """Lines that are neither empty nor docstring; imports count."""
    import ast

    text = (ROOT / file).read_text()
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return sum(bool(line.strip()) and number not in said for number, line in enumerate(text.splitlines(), 1))


def test_the_phases_are_those_there_are() -> None:
    early, *others = get_args(control.Phase)
    assert early == "early" and callable(control.JudgesEarly.early) and "`JudgesEarly`" in TEXT
    assert [row[0].strip("`") for row in rows()] == others == list(TAKES)
    for phase, protocol, *_ in rows():
        assert callable(getattr(getattr(control, protocol.strip("`")), phase.strip("`")))


def test_what_a_phase_knows_is_in_the_evaluation() -> None:
    there = {name for name in vars(Evaluation) if not name.startswith("_")}
    assert set().union(*(names(row[2]) for row in rows())) == there


def test_what_a_phase_may_say_is_taken_of_its_judgement() -> None:
    for phase, _, _, says, _ in rows():
        assert names(says) == PARTS[phase.strip("`")] | {"findings", "charges", "headers", "answer_at"}, phase
        source = inspect.getsource(TAKES[phase.strip("`")])
        taken = set(re.findall(r"judgement\.([a-z_]+)", source)) | (
            {"work", "reserved"} if "_take_work" in source else set()
        )
        assert PARTS[phase.strip("`")] - {"slots"} == taken, phase
    assert set().union(*(names(row[3]) for row in rows())) == set(Judgement.__struct_fields__)


def test_what_goes_along_after_admission_is_what_the_text_says() -> None:
    said = re.search(r"From `examine` on, an evaluation has (.*?) of the phases before", TEXT, re.S)
    source = inspect.getsource(OpenEvaluation.resumed)
    carried = set(re.findall(r"made\.([a-z_]+)", source)) - {"trace"} | {"head", "now"}
    assert said is not None and names(said[1]) == carried


def test_the_transcript_is_what_the_driver_does() -> None:
    house = House(policy_text(headers="set: {Cache-Control: no-store}"))
    driver = ExchangeDriver(house.gate, house.head(Request(key="large")), house, 0.0)
    events: dict[str, Any] = {
        "ResponseHead": d.ResponseHead(NOW, 0.0, 200, ((b"cache-control", b"public"),)),
        "Chunk": d.Chunk(NOW, 0.0, "api", b"ok", False), "End": d.End(NOW, 0.0),
    }  # fmt: skip
    lines = re.findall(r"^>> (\w+).*?<< (\w+)(.*)$", TEXT, re.M)
    assert len(lines) == 4
    for event, wanted, more in lines:
        (command,) = driver.start() if event == "start" else driver.feed(events[event])
        assert type(command).__name__ == wanted
        if isinstance(command, d.SendHead):
            assert more.strip() == f"{command.status} cache-control: {dict(command.headers)[b'cache-control'].decode()}"


def test_the_architecture_names_the_controls_of_each_phase() -> None:
    said = {row[0].strip("`"): row[1] for row in rows((ROOT / "docs/architecture.md").read_text()) if len(row) == 2}
    for phase in get_args(control.Phase):
        assert said[phase] == ", ".join(row.control.name for row in ORDER if row.phase == phase) or "none yet"
