"""Operands of several tokens are read as one, and nothing else is."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges.sql.sql_lexer import tokens_of
from sallygate.controls.injection.judges.sql.sql_rules import folded


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("1 or a.b.c = 2", "1&i=1"),
        ("1 or (a, b) > (0, 0)", "1&v=(1,1)"),
        ("1 or (a.b, 1) = (c.d, 0)", "1&v=(i,1)"),
        ("1 or {x 1}", "1&v"),
        ("1 or {x a} > 2", "1&v=1"),
        ("1 or date '2020-02-03'", "1&v"),
        ("1 or time'10:00' > 'a'", "1&v=s"),
        ("1 or interval '1' day > 'a'", "1&v=s"),
        ("1 or a + 0 > 0", "1&i=1"),
        ("1 or a = any(b)", "1&i=v(i)"),
        ("1 or a is distinct from 2", "1&i=1"),
        ("1 or a is not distinct from 2", "1&i=1"),
        ("1 or a similar to 'b'", "1&i=s"),
        ("1 or a overlaps 'b'", "1&i=s"),
        ("1 or 1 member of('b')", "1&1=(s)"),
        ("1 or a operator(b.~) 'c'", "1&i=s"),
    ],
)
def test_folds(value: str, kinds: str) -> None:
    assert folded(tokens_of(value, 0).spelled) == kinds


@pytest.mark.parametrize("value", ["1 or a = 2", "1 or (a) = 2", "a, b or c", "f(a, b) > 2", "a.b.c"])
def test_leaves(value: str) -> None:
    assert folded(tokens_of(value, 0).spelled) is None


@pytest.mark.parametrize(
    "value", ["1 or {some text}", "1 or similar", "1 or overlaps", "1 or member (a)", "1 or (a, b)"]
)
def test_what_only_begins_alike_stays(value: str) -> None:
    tokens = tokens_of(value, 0)
    assert folded(tokens.spelled) in (None, tokens.spelled.replace("\x04", "i"))


@pytest.mark.parametrize("piece", ["&i.", "&(i,", "&{i", "=A(", "=!AF", "&\x04s", "\x04(i.", "&i+1=", "i.i."])
def test_hostile_classes_end(piece: str) -> None:
    kinds = piece * (96 // len(piece))
    assert len(folded(kinds) or kinds) <= len(kinds)
