"""Stories of SQL that hides from whoever reads it, told to the gate as requests."""

from __future__ import annotations

import json

import pytest

from injection_harness import as_json, query, request, said


def everywhere(value: str) -> None:
    """Seen in a query, a form field, a leaf of JSON and a cookie."""
    assert said(query(value)) == ["sql query:q"], value
    assert said(as_json({"a": [value]})) == ["sql body:/a/0"], value
    cookie = value.encode().replace(b";", b"%3B").replace(b",", b"%2C").replace(b'"', b"%22").replace(b" ", b"%20")
    assert said(request("/", "", (b"cookie", b"sid=" + cookie))) == ["sql cookie:sid"], value


@pytest.mark.parametrize("mark", ["x:", "x[", "x{", '{"a":', "x: ", "[", "a:b:"])
@pytest.mark.parametrize("rest", ["' or login like 'b%", "' or pw>'m", "' order by 3-- ", "' or login is not null#"])
def test_a_mark_of_json_before_the_quote_makes_no_json(mark: str, rest: str) -> None:
    assert said(query(mark + rest)) == ["sql query:q"]
    assert said(as_json({"a": mark + rest})) == ["sql body:/a"]


@pytest.mark.parametrize(
    "closed", ["x:' or login>','", "x:' or login like',", "x[' or pw>'m', '", "x:'||pw||'", "x{' or true or '"]
)
def test_closing_the_quote_as_a_list_would_makes_no_list(closed: str) -> None:
    assert said(query(closed)) == ["sql query:q"]


def test_json_whose_texts_are_words_of_sql_passes() -> None:
    for document in ({"or": "order by name", "and": ["or", "union"]}, {"between": " and more than ", "in": "x or y"}):
        assert said(as_json(document)) == []
        assert said(query(json.dumps(document))) == []


@pytest.mark.parametrize("decoys", ["'y' ", "'y' 'z' ", "'' '' '' ", "'or' 'and' ", '"y" ' * 2, "'y' " * 20])
@pytest.mark.parametrize("rest", ["or login>'b", "or pw like 'b%", "order by 3-- ", "union table staff#"])
def test_behind_literals_side_by_side(decoys: str, rest: str) -> None:
    assert said(query("x' " + decoys + rest)) == ["sql query:q"]


@pytest.mark.parametrize(
    "value",
    [
        "4 or bool 't'",
        "4 or{x 4}",
        "4 and{x pw}>0x62",
        "4 or staff.pw like 0x6225",
        "4 or(id,4)>(0,0)",
        "4 or pw is distinct from 0x62",
        "4 or pw/**/not/**/in(0)",
        "x' or pw operator(pg_catalog.~)'^b",
        "x' or pw^@'b",
        "x' or 4 member of('[4]')#",
        "x' or pw=any(array['b'])--",
        "x' or _utf8mb4 0x34#",
    ],
)
def test_in_a_grammar_few_know(value: str) -> None:
    everywhere(value)


@pytest.mark.parametrize("value", ["4-(id=2)", "4^(s.pw>'b')", "if(pw>'m',id,login)", "id*(pw>'m')", "pw regexp '^b'"])
def test_without_a_word_of_logic(value: str) -> None:
    everywhere(value)


@pytest.mark.parametrize(
    "value",
    ["x',role='boss", "x', role=0x626f7373, y='", "x') returning pw--", "x','y') on duplicate key update pw='b' #"],
)
def test_into_the_other_columns_of_what_is_written(value: str) -> None:
    everywhere(value)


@pytest.mark.parametrize(
    "value",
    [
        "4;set global general_log=1",
        "4; set role boss",
        "4;install plugin a soname 'b.so'",
        "4;change/**/master to master_host='evil.example'",
        "4;purge binary logs to 'b'",
        "4 drop table staff",
    ],
)
def test_statements_of_whoever_administers(value: str) -> None:
    everywhere(value)


@pytest.mark.parametrize(
    "value",
    [
        "4' or",
        "4'or'x",
        "D'or--",
        "d'or 4=4",
        "d' or pw>'m",
        'please "order by 3-- ',
        "please do 'order by pw like' x'",
        "'a' and 'b' in words or 4=4",
        "'a' and 'b' in(select 4)",
    ],
)
def test_what_french_labels_and_prose_are_excused_for_is_no_way_in(value: str) -> None:
    assert said(query(value)) == ["sql query:q"]


@pytest.mark.parametrize(
    "value",
    [
        "x' or products.stock and instr(name,char(76)) or '",
        "x' or products.stock or '",
        "x' <> name or '",
        "x'||(p.stock)||'",
        "4 or products.stock",
        "4 and instr(name,char(76))",
        "4-(select stock from products)",
    ],
)
def test_by_a_condition_whose_truth_the_answer_shows(value: str) -> None:
    everywhere(value)


@pytest.mark.parametrize(
    "value",
    [
        "it's this or that",
        "O'Brien and sons",
        "'tis or isn't",
        "rock 'n' roll or jazz",
        "docs.example.com or www.example.org",
        "Macy's or amazon.com or Sears' shops",
        "version 1.2.3 or 1.2.4, don't know",
        "the app's config.json or the user's settings.json",
        "2 and example.com",
    ],
)
def test_apostrophes_and_dotted_names_in_prose_are_no_condition(value: str) -> None:
    assert said(query(value)) == []
    assert said(as_json({"a": value})) == []
