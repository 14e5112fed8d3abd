"""`docs/errors.md` gives each code the message and the status that the source gives it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/errors.md").read_text()
TREES = [ast.parse(file.read_text()) for file in sorted((ROOT / "src").rglob("*.py"))]
THE_FAULT = "*the fault*"
VALUE = "…"
"""Stands for a value in a message, here and on the page."""


def rows() -> list[tuple[list[str], set[int], list[str]]]:
    """(codes, statuses, messages) of each line of a table with a column of messages."""
    found = []
    for block in TEXT.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("| code | status | message |"):
            cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
            found += [
                (re.findall(r"`([a-z_.]+)`", one[0]), set(map(int, re.findall(r"\d+", one[1]))), one[2].split("<br>"))
                for one in cells
            ]
    return found


def template(node: ast.expr) -> str | None:
    """A text of the source, with `VALUE` for each value in it; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        whole = "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
        return whole.replace(VALUE + VALUE, VALUE)
    return None


def given() -> list[tuple[str, str | None, int | None]]:
    """(code, message, status) of each expression in the source that has a code beside a message or a status."""
    documented = {code for codes, _, _ in rows() for code in codes}
    found: list[tuple[str, str | None, int | None]] = []
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                values = node.args
                codes = [text for text in map(template, values) if text in documented]
                if name == "Fault" and values:
                    codes = [f"request.{template(values[0])}"]
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    code = template(key) if key is not None else None
                    if code in documented and isinstance(value, ast.Tuple):
                        found.append((code, template(value.elts[-1]), getattr(value.elts[0], "value", None)))
                continue
            else:
                continue
            texts = [text for text in map(template, values) if text is not None and " " in text]
            statuses = [one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, int)]
            statuses = [one for one in statuses if 400 <= one < 600]
            for code in codes:
                found += [(code, text, None) for text in texts]
                found += [(code, None, status) for status in statuses]
    return found


def test_each_message_of_the_source_is_on_the_page() -> None:
    on_page = {code: (statuses, messages) for codes, statuses, messages in rows() for code in codes}
    checked = 0
    for code, message, status in given():
        statuses, messages = on_page[code]
        if message is not None:
            assert message in messages, f"{code}: the page lacks {message!r}"
            checked += 1
        if status is not None and statuses:
            assert status in statuses, f"{code}: the page lacks {status}"
            checked += 1
    assert checked > 100


def test_each_message_of_the_page_is_in_the_source() -> None:
    texts = {text for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.expr)
             if (text := template(node)) is not None}  # fmt: skip
    whole = {text for text in texts if text.endswith(".")}
    checked = 0
    for codes, _, messages in rows():
        assert messages[0], f"{codes}: no message"
        for message in messages:
            if message != THE_FAULT:
                parts = re.split(r"(?<=\.)(?= )", message)
                assert message in texts or all(part in whole for part in parts), (
                    f"{codes}: no {message!r} in the source"
                )
                checked += 1
    assert checked > 90
