"""Words: the left columns of `docs/glossary.md` occur in no name, docstring, message or document."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs/glossary.md"
SOURCE = sorted((ROOT / "src").rglob("*.py"))
TEXTS = sorted(
    {*SOURCE, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile", ROOT / "deploy/Containerfile",
     *ROOT.glob("deploy/*.service"), *ROOT.glob("src/**/*.yaml")} - {GLOSSARY}
)  # fmt: skip
KEPT = {"sallygate_boxed_sources", "sallygate.boxed.sources"}
"""Names that users have in their dashboards."""
OF_LISTS = "words"
"""Modules of injection that list words of languages have them as data."""


def words(heading: str) -> list[str]:
    """The left column of one table of the glossary."""
    section = GLOSSARY.read_text().split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    return [word.strip() for row in rows for word in row.split(",")]


def pattern(some: list[str]) -> re.Pattern[str]:
    """Whole words in any case, also as parts of a name with underscores."""
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, some))})(?![A-Za-z])", re.I)


def names(tree: ast.AST) -> Iterator[str]:
    """Names of everything that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_no_text_has_a_word_of_the_left_column() -> None:
    some = words("Words in any text")
    unused, found = pattern(some), []
    assert len(some) > 30
    for file in TEXTS:
        if file.stem.endswith(OF_LISTS):
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if file.name == "CHANGELOG.md":
                line = re.sub(r"`[^`]*`", "", line)  # names of before
            for kept in KEPT:
                line = line.replace(kept, "")
            found += [
                f"{file.relative_to(ROOT)}:{number}: {one[0]}: {line.strip()[:90]}" for one in unused.finditer(line)
            ]
    assert not found, "docs/glossary.md has the term to write:\n" + "\n".join(found)
    assert len(TEXTS) > 350


def test_no_name_has_a_word_of_the_left_column() -> None:
    unused, read = pattern(words("Words in names of modules, classes, functions and variables")), 0
    found = []
    for file in SOURCE:
        for name in (file.stem, *names(ast.parse(file.read_text()))):
            read += 1
            if unused.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)):
                found.append(f"{file.relative_to(ROOT)}: {name}")
    assert not found, "docs/glossary.md has the term to use:\n" + "\n".join(found)
    assert read > 10_000


def test_each_term_has_one_sentence() -> None:
    rows = [line.strip("|").split("|") for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    meanings = [row[-1].strip() for row in rows if row[-1].strip() != "Meaning"]
    assert len(meanings) > 50
    for meaning in meanings:
        assert meaning.endswith(".") and ". " not in meaning, meaning
        assert len(meaning.split()) <= 25, meaning


def test_public_names_have_docstrings() -> None:
    public = documented = 0
    missing = []
    for file in SOURCE:
        for node in [tree := ast.parse(file.read_text()), *ast.walk(tree)][1:]:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith(
                "_"
            ):
                public += 1
                documented += ast.get_docstring(node) is not None
                if ast.get_docstring(node) is None:
                    missing.append(f"{file.relative_to(ROOT)}: {node.name}")
    assert public > 1500
    assert documented >= 0.95 * public, "\n".join(missing)
