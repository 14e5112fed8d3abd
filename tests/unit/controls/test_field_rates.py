"""Rates by a field of the request: one value, many callers, and the spellings that are one value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sallygate.offline.decide import Offline
from sallygate.offline.recordings import Recorded
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from support import write_policy

SCHEMA = {"type": "object", "properties": {"username": {}, "user": {"type": "object"}, "password": {"type": "string"}}}
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=X"
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "logins", "version": "1"},
    "paths": {
        "/login/{tenant}": {
            "parameters": [{"name": "tenant", "in": "path", "required": True, "schema": {"type": "string"}}],
            "post": {
                "operationId": "login",
                "security": [],
                "parameters": [{"name": "email", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {
                    "content": {name: {"schema": SCHEMA} for name in ("application/json", FORM, "multipart/form-data")}
                },
                "responses": {"200": {"description": "ok"}},
            },
        }
    },
}


def gate(directory: Path, *rates: str, more: str = "") -> Offline:
    listed = ", ".join(f"{{by: '{by}', rate: 3/min burst 3}}" for by in rates)
    text = f"operations: {{login: {{rates: [{listed}]}}}}\n{more}"
    return Offline(write_policy(directory, text, openapi=DOCUMENT))


def login(
    body: object, number: int = 0, query: str = "", tenant: str = "a", media: str = "application/json"
) -> Recorded:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = ((b"host", b"a.example"), (b"content-type", media.encode()), (b"content-length", b"%d" % len(raw)),
               (b"x-device", b"phone"), (b"cookie", b"b=c; sid=s1"))  # fmt: skip
    return Recorded("POST", "https", f"/login/{tenant}".encode(), query.encode(), headers, raw, f"192.0.{number}.7")


def refused(offline: Offline, *requests: Recorded) -> list[str]:
    findings = [offline.decide(one).decision.findings for one in requests]
    return [f"{found[0].code} {found[0].where}" if found else "" for found in findings]


def refused_by_rate(offline: Offline, requests: list[Recorded]) -> list[bool]:
    return ["limits.field" in offline.decide(one).decision.reasons for one in requests]


def test_many_addresses_have_one_rate_for_one_account(tmp_path: Path) -> None:
    offline = gate(tmp_path, "body:/username")
    tries = [login({"username": "kim", "password": str(n)}, n) for n in range(40)]
    assert refused(offline, *tries) == [""] * 3 + ["limits.field body:/username"] * 37
    assert refused(offline, login({"username": "lee"})) == [""]


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        (
            "body:/username",
            [{"username": "Kim "}, {"username": "kim"}, {"username": "KIM"}, {"username": "\uff4bim"}],
            {"username": "ki m"},
        ),
        ("body:/user/name", [{"user": {"name": "a"}}] * 4, {"user": {"name": "b"}}),
        ("body:/username", [{"username": 7}] * 4, {"username": 8}),
        ("body:/username", [{"username": "kim" + "\u200b" * n} for n in range(4)], {"username": "ki"}),
        ("body:/username", [{"username": ["kim"] * n} for n in range(1, 5)], {"username": "ki"}),
        ("body:/username", [{"username": " " * 600 + "kim"}] * 4, {"username": " " * 600 + "lee"}),
        ("body:/username", [{"username": ["a", {"b": 1}]}] * 4, {"username": ["c"]}),
    ],
)
def test_spellings_of_one_value(tmp_path: Path, by: str, same: list[object], other: object) -> None:
    offline = gate(tmp_path, by)
    assert refused(offline, *map(login, same)) == ["", "", "", f"limits.field {by}"]
    assert refused(offline, login(other), login({})) == ["", ""]


def test_fields_of_every_kind(tmp_path: Path) -> None:
    multipart = b'--X\r\nContent-Disposition: form-data; name="username"\r\n\r\nkim\r\n--X--\r\n'
    kinds = {
        "body:/username": login(urlencode({"username": "kim"}).encode(), media=FORM),
        "body:/username ": login(multipart, media=MULTIPART),
        "query:email": login({}, query="email=kim%40a.example"),
        "path:tenant": login({}, tenant="acme"),
        "header:X-Device": login({}),
        "cookie:sid": login({}),
    }
    for number, (by, request) in enumerate(kinds.items()):
        place = by.strip()
        assert refused(gate(tmp_path / str(number), place), *[request] * 4)[3] == f"limits.field {place}"


def test_a_repeated_field_counts_each_of_its_values(tmp_path: Path) -> None:
    """An API may take the first one, or the last: junk beside the name does not make it another."""
    offline = gate(tmp_path, "query:email", more="contract: {mode: shadow}\n")
    tries = [login({}, query=f"email=kim%40a.example&email=junk{n}") for n in range(5)]
    assert refused_by_rate(offline, tries) == [False] * 3 + [True] * 2
    assert refused_by_rate(offline, [login({}, query="email=other&email=kim%40a.example")]) == [True]


@pytest.mark.parametrize("name", [b'name="username"; filename=""', b'name="username"; filename="a"'])
def test_a_part_that_says_to_be_a_file_counts(tmp_path: Path, name: bytes) -> None:
    offline = gate(tmp_path, "body:/username", more="contract: {mode: shadow}\n")
    body = b"--X\r\nContent-Disposition: form-data; " + name + b"\r\n\r\nkim\r\n--X--\r\n"
    assert refused_by_rate(offline, [login(body, media=MULTIPART)] * 4) == [False] * 3 + [True]


def test_several_fields_count_each_by_itself(tmp_path: Path) -> None:
    offline = gate(tmp_path, "body:/username", "query:email")
    assert (
        refused(offline, *[login({"username": str(n)}, query="email=e") for n in range(4)])[3]
        == "limits.field query:email"
    )
    assert (
        refused(offline, *[login({"username": "u"}, query=f"email={n}") for n in range(4)])[3]
        == "limits.field body:/username"
    )


def test_in_shadow_nothing_is_refused(tmp_path: Path) -> None:
    offline = gate(tmp_path, "body:/username", more="limits: {mode: shadow}\n")
    found = [offline.decide(login({"username": "kim"})).decision for _ in range(5)]
    assert [one.verdict for one in found] == ["allow"] * 5 and found[4].findings[0].mode == "shadow"


def test_a_name_that_is_used_up_says_when_to_come_back_and_not_what_it_was(tmp_path: Path) -> None:
    offline = gate(tmp_path, "body:/username")
    decision = [offline.decide(login({"username": "kim-secret"})).decision for _ in range(4)][3]
    assert decision.status == 429 and "kim-secret" not in repr(decision)


@pytest.mark.parametrize("by", ["username", "body:username", "body:", "form:/a", "query:"])
def test_what_is_no_field_is_refused_at_load(tmp_path: Path, by: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(
            write_policy(
                tmp_path, f"operations: {{login: {{rates: [{{by: '{by}', rate: 1/s burst 1}}]}}}}\n", openapi=DOCUMENT
            )
        )
    assert any("is not a field" in one.message for one in caught.value.problems)


def said(directory: Path, by: str, document: dict[str, Any], more: str = "") -> list[str]:
    text = f"operations: {{login: {{rates: [{{by: '{by}', rate: 1/s burst 1}}]}}}}\n{more}"
    try:
        load_policy(write_policy(directory, text, openapi=document))
    except PolicyError as error:
        return [f"{one.line} {one.message}; {one.hint}" for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("by", "hint"),
    [
        ("body:/usernam", "did you mean `username`?"),
        ("body:/nothing/like/it", "it has `password`, `user`, `username`"),
        ("query:emial", "did you mean `email`?"),
        ("path:tenent", "did you mean `tenant`?"),
    ],
)
def test_a_field_that_no_request_can_have_limits_nobody(tmp_path: Path, by: str, hint: str) -> None:
    (one,) = said(tmp_path, by, DOCUMENT)
    assert "`login` has no field" in one and hint in one


@pytest.mark.parametrize(
    "by", ["body:/user/name", "body:/username", "query:email", "path:tenant", "header:x-any", "cookie:any"]
)
def test_a_field_that_a_request_may_have_is_taken(tmp_path: Path, by: str) -> None:
    assert said(tmp_path, by, DOCUMENT) == []


@pytest.mark.parametrize(
    ("by", "more"),
    [
        ("body:/other", "contract: {unknown_fields: ignore}\n"),
        ("body:/other", "contract: {mode: shadow}\n"),
        ("query:other", "contract: {unknown_query: ignore}\n"),
        ("query:other", "contract: {mode: off}\n"),
    ],
)
def test_where_the_undeclared_passes_any_field_may_be_there(tmp_path: Path, by: str, more: str) -> None:
    assert said(tmp_path, by, DOCUMENT, more) == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"type": "object"},
        {**SCHEMA, "additionalProperties": {}},
        {**SCHEMA, "additionalProperties": True},
        {**SCHEMA, "patternProperties": {"^x": {}}},
        {"allOf": [SCHEMA, {"properties": {"other": {}}}]},
        {"oneOf": [SCHEMA, {"$ref": "#/components/schemas/Other"}]},
        {"if": {"required": ["username"]}, **SCHEMA},
        {"type": "array", "items": SCHEMA},
    ],
)
def test_a_schema_that_takes_other_fields_takes_the_rate(tmp_path: Path, schema: object) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    post = document["paths"]["/login/{tenant}"]["post"]
    post["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    document["components"] = {"schemas": {"Other": {"type": "object", "properties": {"other": {"type": "string"}}}}}
    assert said(tmp_path, "body:/other", document) == []


def test_names_of_objects_and_keys_in_a_query_are_taken(tmp_path: Path) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["components"] = {"securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "api_key"}}}
    assert said(tmp_path, "query:api_key", document) == []
    post = document["paths"]["/login/{tenant}"]["post"]
    post["parameters"] += [{"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}}]
    assert said(tmp_path, "query:filter[name]", document) == [] == said(tmp_path, "query:name", document)
    post["parameters"] += [{"name": "page[size]", "in": "query", "schema": {"type": "string"}}]
    assert said(tmp_path, "query:page[size]", document) == []
