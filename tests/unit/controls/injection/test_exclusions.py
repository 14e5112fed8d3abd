"""Exclusions: what covers a field covers it in every form it is read in, and nothing beside it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from injection_harness import CLIMB, as_json, post, request, said

WHERE = {"where": {"$and": [{"page": {"$gt": 10}}, {"page": {"$lt": 14}}]}, "include": ["a"]}
ON_WHERE = 'exclude: [{family: nosql, field: "body:/where/*"}]'


@pytest.mark.parametrize(
    ("value", "family", "place"),
    [
        (WHERE, "nosql", "/where/$and"),
        ({"a": {"b": [1, {"c": {"$ne": 1}}]}}, "nosql", "/a/b/1/c/$ne"),
        ({"__proto__": {"a": 1}}, "prototype", "/__proto__"),
        ({"a": {"constructor": {"prototype": {"x": 1}}}}, "prototype", "/a/constructor"),
        ({"a": "${jndi:ldap://x.example/a}"}, "lookup", "/a"),
    ],
)
def test_what_is_found_in_a_document_is_said_of_the_member(value: object, family: str, place: str) -> None:
    found = said(as_json(value))
    assert f"{family} body:{place}" in found or any(one.startswith(f"{family} body:{place}/") for one in found)
    assert not any(one.endswith(" body:") for one in found)


def test_an_excluded_member_is_excluded_from_the_whole_document() -> None:
    assert said(as_json(WHERE)) != []
    assert said(as_json(WHERE), ON_WHERE) == []
    assert said(as_json({"$and": [{"where": 1}, {"b": 2}]}), ON_WHERE) != []


def test_what_stands_beside_an_excluded_member_is_still_found() -> None:
    assert said(as_json({**WHERE, "other": {"$ne": 1}}), ON_WHERE) == ["nosql body:/other/$ne"]
    assert said(as_json({"other": {"$ne": 1}, **WHERE}), ON_WHERE) == ["nosql body:/other/$ne"]
    assert said(as_json({**WHERE, "q": "1' or '1'='1"}), ON_WHERE) == ["sql body:/q"]


def test_a_member_given_twice_does_not_hide_behind_an_exclusion() -> None:
    """The last one counts for some readers, the first one for others."""
    twice = '{"user": {"$ne": 1}, "where": {"a": {"$gt": 1}}, "user": 1}'
    assert said(post(twice), ON_WHERE) != []


def test_a_document_in_a_parameter() -> None:
    target = "filter=" + quote(json.dumps(WHERE))
    assert all(one.startswith("nosql query:filter/where/") for one in said(request("/", target)))
    assert said(request("/", target), 'exclude: [{family: nosql, field: "query:filter/where/*"}]') == []
    other = "filter=" + quote(json.dumps({**WHERE, "other": {"$ne": 1}}))
    assert said(request("/", other), 'exclude: [{family: nosql, field: "query:filter/where/*"}]') != []


def test_an_excluded_segment_is_excluded_from_the_whole_path() -> None:
    section = 'exclude: [{family: sql, field: "path:1"}]'
    target = "/q/1'%20or%20'1'='1/x"
    assert said(request(target)) == ["sql path:1"]
    assert said(request(target), section) == []
    assert said(request("/1'%20or%20'1'='1/q/x"), section) == ["sql path:0"]


def test_an_exclusion_of_the_body_as_a_whole_covers_all_of_it() -> None:
    assert said(as_json(WHERE), 'exclude: [{family: nosql, field: "body:*"}]') == []
    assert said(as_json({"f": CLIMB}), 'exclude: [{family: nosql, field: "body:*"}]') != []


@pytest.mark.parametrize("odd", ["\\ud8cf", "123456789012345678901234567890", "1e400"])
def test_what_no_strict_writer_writes_is_placed_all_the_same(odd: str) -> None:
    value = f'"{odd}"' if odd.startswith("\\") else odd
    inner = '{"a": ' + value + ', "where": {"$ne": 1}, "x": "1\' or \'1\'=\'1"}'
    for text in (inner, json.dumps({"f": inner})):
        found = said(post(text))
        assert found and not any("control.failed" in one for one in found), found


def test_placing_is_bounded_by_the_size_of_the_document() -> None:
    """A large document is refused all the same, with a place that is less deep."""
    large = {"rows": [{"a": "x" * 1000} for _ in range(200)], "where": {"$gt": 1}}
    (found,) = said(as_json(large))[:1]
    assert found.startswith("nosql body:")
