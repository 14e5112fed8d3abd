"""Errors of a policy: all problems together, each with its line and a correction."""

from __future__ import annotations

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One problem of a policy: file, line, code, message, and a correction."""

    file: str
    line: int
    """1-based; 0 when the problem has no line (a missing file)."""
    code: str
    """`policy.unknown_field`, `policy.value`, `policy.missing`, `policy.duplicate`, `policy.syntax`,
    `policy.reference`, `policy.file`, `policy.contract`, `policy.unsafe`."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.code}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class PolicyError(Exception):
    """The policy does not apply, and nothing of it was applied."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
