"""Blind oracles: conditions without a comparison are found in every grammar, texts with the same words are not."""

from __future__ import annotations

from itertools import product

import pytest

from sallygate.controls.injection.judges.sql.sql_judge import JUDGE
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([JUDGE.triggers])
BEGINNINGS = ("x'", "gaming laptop'", "'", "x')", 'x"', "x`")
LOGIC = (" or ", " and ", " xor ", "||", "&&", "/**/or/**/", "\tor not\n", " OR(")
CONDITIONS = (
    "products.stock", "main.p.stock", "p . stock", "u.is_admin", "p.stock and instr(name,char(76))", "-p.stock", "~p.stock",
    "p.stock&1", "p.name like p.code", "p.a between p.b and p.c", "p.name in(p.code,p.sku)", "p.name is not p.code",
    "p.name glob p.code", "p.name regexp p.code", "[p].[stock]", "p.a<>p.b or p.c", "user_id", "length(p.name)",
)  # fmt: skip
ENDS = (" or {}", "||{}", " and {}a", "-- ", "--", "#", "/*", ";", " order by {}")
NUMBERS = ("4 ", "-4 ", "4.5 ", "0x4 ", "null ", "'4' ", "4) ")
OTHERS = (
    "x'-p.stock-'", "x'*p.stock*'", "x'<>p.stock or'", "x' match p.stock or '", "4*p.stock", "4-(p.stock)", "4^p.stock",
    "4-instr(name,'L')", "4+unicode(substr(name,1,1))", "4-(ascii(substr(name,1,1))>76)", "4 between p.a and p.b", "4<>p.stock",
    "4 glob p.name", "4 is not p.a", "4 or rowid", "4 or `p`.`stock`", 'x\' or "p"."stock" or \'', "x' having p.stock or '",
)  # fmt: skip
HONEST = (
    "see 'docs.example.com' or 'www.example.org'", '"readme.md" and "setup.py"', "readme.md or setup.py", "4 or example.com",
    "4 and index.html", "4 or more. Thanks", "5 p.m. or 6 p.m.", "v1.2 and v1.3", "1.2.3 or 1.2.4", "12-file.tar.gz", "1-main.js",
    "d['a'] or b.c or 'x'", "print('a' or b.c or 'd')", "foo['a'] || bar.baz || ''", "const a = b['c'] && d.e && 'f'", "a.b || c.d",
    "'quoted' or unquoted", '"error" or log.level or "fatal"', '"machine learning" or deep.learning', '"*example.com*"',
    "O'Neil <oneil@example.com>", "the dogs' and cats' food", "27\" or 32\" monitors", "5'4\" or 5'6\"", "100% or a.b", "2*(x+1)",
    "9483773&LISTING_ID=62611583&REF=CONTACT_BOTTOM", "0&gdpr_consent=", "204=kq_Zw-x_y", "204=a.b", "4 or example.com and readme.md", "length(name)",
    "Levi's or levis.com", "let's meet at 5 p.m. or 6 p.m. at Joe's", "1-800-FLOWERS", "5-log(n)", "10-left(A1,2)", "4 or stock",
)  # fmt: skip


def _found(value: str) -> bool:
    evidence = JUDGE.judge(value, [])
    return evidence is not None and evidence.score >= 5 and bool(PREFILTER.hits(value))


def test_behind_every_quote() -> None:
    missed, tried = [], 0
    for beginning, logic, condition, end in product(BEGINNINGS, LOGIC, CONDITIONS, ENDS):
        mark = next(char for char in beginning if char in "'\"`")
        value = beginning + logic + condition + (")" if logic.endswith("(") else "") + end.format(mark)
        tried += 1
        if not _found(value):
            missed.append(value)
    assert tried == 7776
    assert missed == []


def test_behind_every_number() -> None:
    values = [number + logic + condition for number, logic, condition in product(NUMBERS, LOGIC[:-1], CONDITIONS)]
    assert len(values) == 882
    assert [value for value in values if not _found(value)] == []


@pytest.mark.parametrize("value", OTHERS)
def test_in_a_computation_and_a_comparison(value: str) -> None:
    assert _found(value)


@pytest.mark.parametrize("value", HONEST)
def test_passes(value: str) -> None:
    evidence = JUDGE.judge(value, [])
    assert evidence is None or evidence.score < 5


@pytest.mark.parametrize("piece", ["' or a.b", "a.b or ", "' f(", "1*", "' or f(a.b)+", "`", "1 or a.b "])
def test_hostile_shapes_return(piece: str) -> None:
    JUDGE.judge("1" + piece * (8192 // len(piece)), [])
    JUDGE.judge("x'" + piece * 20, [])
