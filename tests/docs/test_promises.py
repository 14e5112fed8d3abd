"""Promises of the documents and the tests that keep them: `promises.yaml` names tests that exist for each promise."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMISES = yaml.safe_load(Path(__file__).with_name("promises.yaml").read_text())
ROWS: dict[str, list[str]] = PROMISES["rows"]
SENTENCES: dict[str, dict[str, list[str]]] = PROMISES["sentences"]
FOR_USERS = ["README.md", "SECURITY.md", "docs/operations.md", "docs/threat-model.md",
             *(f"docs/guides/{file.name}" for file in sorted((ROOT / "docs/guides").glob("*.md")))]  # fmt: skip


HEADS = ("| Attack |", "| Failure |")
"""Beginnings of the tables."""


def text_of(name: str) -> str:
    """A document in one line, so that a sentence may be broken anywhere."""
    return " ".join((ROOT / name).read_text().split())


def rows_of_the_threat_model() -> list[str]:
    """The first cell of each row of its tables."""
    lines = (ROOT / "docs/threat-model.md").read_text().splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ") and not line.startswith(HEADS)]


@cache
def defined_in(file: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.parse((ROOT / "tests" / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(found)


def test_each_row_of_the_threat_model_has_its_tests() -> None:
    rows = rows_of_the_threat_model()
    assert len(rows) > 45
    assert rows == list(ROWS), "tests/docs/promises.yaml has the rows in their order; add the tests of a new row there"


def test_each_test_that_keeps_a_promise_exists() -> None:
    named = [*ROWS.items(), *(item for one in SENTENCES.values() for item in one.items())]
    for promise, tests in named:
        assert tests, promise
        for test in tests:
            file, _, name = test.partition("::")
            assert (ROOT / "tests" / file).is_file() and name in defined_in(file), f"{promise}: there is no {test}"


@pytest.mark.parametrize("document", SENTENCES)
def test_each_sentence_stands_in_its_document(document: str) -> None:
    for sentence in SENTENCES[document]:
        assert sentence in text_of(document), f"{document} does not say: {sentence}"


@pytest.mark.parametrize("document", FOR_USERS)
def test_no_document_says_never_or_always_without_a_test(document: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.S)
    if document == "docs/threat-model.md":
        text = "\n".join(line for line in text.splitlines() if not line.startswith("|"))  # its rows have tests
    text = " ".join(text.split())
    for sentence in SENTENCES.get(document, {}):
        text = text.replace(sentence, "")
    left = [text[max(0, one.start() - 60) : one.end() + 30] for one in re.finditer(r"\b(?:never|always)\b", text, re.I)]
    assert not left, f"{document}: name the test in tests/docs/promises.yaml, or say what is so: {left}"
