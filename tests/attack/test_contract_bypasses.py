"""Stories of requests that mean one thing to a lenient parser and another to the application, told to the
contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract_harness import Api, document, make_head, one_body, one_parameter
from patience import bounded
from sallygate.model.finding import Finding

INTEGER = {"name": "id", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 100}}
USER = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}, "role": {"type": "string", "readOnly": True}},
}  # fmt: skip

JUGGLED = ["1%20", "%201", "1%09", "1%0a", "+1", "%2B1", "1e1", "1E1", "0x10", "0b1", "0o7", "010", "1.0", "1,", "1_0", "--1", "-", "%D9%A1", "%EF%BC%91", "%E2%85%A0", "NaN", "inf", "true", "null", "", "1;2", "[1]", "%22%31%22"]  # fmt: skip


@pytest.mark.parametrize("text", JUGGLED)
def test_numbers_spelled_so_that_only_some_parsers_read_them(text: str) -> None:
    assert Api(one_parameter(INTEGER)).get(f"/x?id={text}") != []


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "0", "yes", "on", "", "true%20", "t"])
def test_booleans_spelled_as_some_frameworks_take_them(text: str) -> None:
    assert Api(one_parameter({"name": "b", "in": "query", "schema": {"type": "boolean"}})).get(f"/x?b={text}") != []


@pytest.mark.parametrize("query", ["id=1&id=2", "id=1&i%64=2", "i%64=1&id=2", "id=1&id", "id=1&id=1"])
def test_a_parameter_given_twice_so_that_gate_and_application_take_different_ones(query: str) -> None:
    assert Api(one_parameter(INTEGER)).get("/x?" + query)[0] == "parameter_repeated query:id repeated"


@pytest.mark.parametrize(
    "query", ["id[]=1", "id[0]=1", "id%5B%5D=1", "ID=1", "id%20=1", "%20id=1", "id.x=1", "=1", "x&id=1", "1"]
)
def test_names_that_some_frameworks_fold_into_a_declared_one(query: str) -> None:
    assert any(found.startswith("query_unknown") for found in Api(one_parameter(INTEGER)).get("/x?" + query))


def test_a_semicolon_does_not_separate() -> None:
    assert Api(one_parameter(INTEGER)).get("/x?id=1;id=200") == ["parameter query:id type"]


def test_delimiters_encoded_to_smuggle_a_second_value_past_the_items_schema() -> None:
    schema = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2}
    form = Api(one_parameter({"name": "p", "in": "query", "explode": False, "schema": schema}))
    assert form.get("/x?p=a,b") == []
    assert form.get("/x?p=a%2Cb") == [], "as standard clients write it; each item is judged"
    for text in ("a%2Cx", "a%2Cb%2Ca", "a,b%2Ca", "b%2Ca,a", "a%252Cb", "a,,b", ",a", "a%2C"):
        assert form.get(f"/x?p={text}") != [], text
    path = Api(one_parameter({"name": "p", "in": "path", "required": True, "schema": schema}))
    assert path.get("/x/a,b") == []
    assert path.get("/x/a%2Cb") == ["parameter path:p enum"]


def test_a_header_given_twice_and_joined() -> None:
    api = Api(one_parameter({"name": "X-Role", "in": "header", "schema": {"type": "string"}}))
    assert api.get("/x", [("X-Role", "user"), ("X-Role", "admin")]) == ["parameter_repeated header:X-Role repeated"]
    assert api.get("/x", [("X-Role", "user, admin")]) == []


def test_a_cookie_given_twice() -> None:
    api = Api(one_parameter({"name": "sid", "in": "cookie", "schema": {"type": "string"}}))
    assert api.get("/x", {"cookie": "sid=a; other=1; sid=b"}) == ["parameter_repeated cookie:sid repeated"]


@pytest.mark.parametrize("body", [
    b'{"name":"a","name":"b"}', b'{"name":"a","n\\u0061me":"b"}', b'{"age":1,"x":{},"age":"<script>"}', b'{"name":":","name":"b"}',
])  # fmt: skip
def test_a_member_given_twice_so_that_the_last_one_is_never_looked_at(body: bytes) -> None:
    (found,) = Api(one_body(USER)).ask("POST", "/x", (), body, "application/json")
    assert (found.status, found.code) == (400, "body.json")


def test_mass_assignment() -> None:
    api = Api(one_body(USER))
    assert api.post({"name": "a", "role": "admin"}) == ["body body:/role readOnly"]
    assert api.post({"name": "a", "isAdmin": True}) == ["body body:/isAdmin additionalProperties"]
    assert api.post({"name": "a", "__proto__": {"isAdmin": True}}) == ["body body:/__proto__ additionalProperties"]
    assert api.post({"name": "a", "constructor": {"prototype": {}}}) == ["body body:/constructor additionalProperties"]
    assert api.post({"name": "a", "Role": "admin"}) == ["body body:/Role additionalProperties"]
    assert api.post({"name": "a", "role\u0000": "admin"}) == ["body body:/role? additionalProperties"]


def test_mass_assignment_through_forms() -> None:
    form = "application/x-www-form-urlencoded"
    api = Api(one_body(USER, form))
    assert api.post(b"name=a", media=form) == []
    for body in (b"name=a&role=admin", b"name=a&isAdmin=1", b"name=a&user[role]=admin", b"name=a&role%5B%5D=admin"):
        assert api.post(body, media=form) != [], body


def test_an_unknown_field_hidden_behind_the_branches_of_a_composition() -> None:
    schemas = {
        "Base": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "Named": {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"type": "object", "properties": {"name": {"type": "string"}}},
            ]
        },
        "Any": {"anyOf": [{"$ref": "#/components/schemas/Named"}, {"$ref": "#/components/schemas/Base"}]},
        "Open": {
            "allOf": [
                {"$ref": "#/components/schemas/Any"},
                {"type": "object"},
                {"required": ["id"]},
                {"description": "d"},
            ]
        },
    }
    for name in schemas:
        for prefix in ({"id": 1}, {"id": 1, "name": "n"}):
            found = Api(one_body({"$ref": f"#/components/schemas/{name}"}, schemas=schemas)).post(
                {**prefix, "isAdmin": True}
            )
            assert any("additionalProperties" in line for line in found), (name, prefix)


@pytest.mark.parametrize("media", [
    "text/plain", "application/xml", "application/jsonx", "application/json/x", "application/json;charset=utf-7", "application/json;charset=ibm037",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, application/xml", "text/json", "*/*", "application/*", "",
    "application/json\x00", "application/json; boundary", "application/json; a=b; a=c",
])  # fmt: skip
def test_a_body_announced_as_something_else_to_avoid_its_schema(media: str) -> None:
    (found,) = Api(one_body(USER)).ask("POST", "/x", (), b'{"isAdmin":true}', media)
    assert found.status == 415


def test_a_body_where_none_is_expected() -> None:
    api = Api(document({"/x": {"get": {}, "delete": {}}}))
    for method in ("GET", "DELETE"):
        for headers in (
            {"content-length": "2"},
            {"transfer-encoding": "chunked"},
            {"transfer-encoding": "chunked", "content-length": "0"},
        ):
            plan = api.plan(make_head(method, "/x", headers))
            assert isinstance(plan, Finding) and plan.status == 415


def test_a_body_announced_as_empty_to_skip_what_is_required() -> None:
    described = document(
        {"/x": {"post": {"requestBody": {"required": True, "content": {"application/json": {"schema": USER}}}}}}
    )
    plan = Api(described).plan(make_head("POST", "/x", {"content-type": "application/json"}))
    assert isinstance(plan, Finding) and plan.code == "contract.body_missing"


BOMBS = {
    "deep arrays": b"[" * 500_000 + b"]" * 500_000,
    "deep objects": b'{"a":' * 160_000 + b"1" + b"}" * 160_000,
    "an integer of a million digits": b'{"age":' + b"9" * 1_000_000 + b"}",
    "an exponent": b'{"age":1e999999999}',
    "a million members": b"{" + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}",
    "a million items": b"[" + b"0," * 500_000 + b"0]",
    "colons": b'{"name":"' + b":" * 1_000_000 + b'"}',
    "escapes": b'{"name":"' + b"\\u0041" * 170_000 + b'"}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_megabyte_made_to_be_expensive(name: str) -> None:
    """Each takes tens of milliseconds; what is to be seen is that nothing is quadratic, which would take hours."""
    api = Api(one_body({"anyOf": [USER, {"type": "array", "items": USER}]}))
    with bounded(5):
        assert api.post(BOMBS[name]) != []


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"^(a|aa)+$",
        r"^([a-z]+)*[0-9]$",
        r"^(a?){50}a{50}$",
        r"(x+x+)+y",
        r"^(?=(a+))\1b$",
        r"^((a+)+)(?!b)$",
        r"^(([a-z])+.)+[A-Z]([a-z])+$",
    ],
)
def test_a_value_made_for_a_pattern_that_backtracks(pattern: str) -> None:
    api = Api(one_parameter({"name": "p", "in": "query", "schema": {"type": "string", "pattern": pattern}}))
    with bounded(5):
        api.get("/x?p=" + "a" * 5000 + "!")


def test_a_value_that_exhausts_a_backtracking_pattern_is_refused() -> None:
    api = Api(one_parameter({"name": "p", "in": "query", "schema": {"type": "string", "pattern": r"^(?!b)(a|aa)+$"}}))
    assert api.get("/x?p=aaaa") == []
    assert api.get("/x?p=" + "a" * 60 + "!") != []


def part(disposition: str, data: str = "1", more: str = "") -> bytes:
    return f"--B\r\nContent-Disposition: {disposition}\r\n{more}\r\n{data}\r\n".encode()


MULTIPART: dict[str, bytes] = {
    "two names in one part": part('form-data; name="name"; name="role"'),
    "a name continued": part("form-data; name*0=\"na\"; name*1=\"me\""),
    "a name in another charset": part("form-data; name*=utf-8''role"),
    "an escaped quote": part('form-data; name="a\\"; name=\\"role"'),
    "a part inside a part": part('form-data; name="name"', '--C\r\nContent-Disposition: form-data; name="role"\r\n\r\nx\r\n--C--', "Content-Type: multipart/mixed; boundary=C\r\n"),
    "base64": part('form-data; name="name"', "YWRtaW4=", "Content-Transfer-Encoding: base64\r\n"),
    "utf-7": part('form-data; name="name"', "+ADw-", "Content-Type: text/plain; charset=utf-7\r\n"),
    "a boundary after a line feed": part('form-data; name="name"', '1\n--B\nContent-Disposition: form-data; name="role"\n\nadmin'),
    "read only": part('form-data; name="role"', "admin"),
    "a field twice": part('form-data; name="name"') + part('form-data; name="name"', "2"),
    "a field as a file": part('form-data; name="name"; filename="x"'),
    "an unknown field": part('form-data; name="isAdmin"'),
    "json with a member twice": part('form-data; name="name"', '{"a":1,"a":2}', "Content-Type: application/json\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", MULTIPART)
def test_multipart_that_parsers_disagree_about(name: str) -> None:
    api = Api(one_body(USER, "multipart/form-data"))
    media = "multipart/form-data; boundary=B"
    assert api.post(part('form-data; name="name"') + b"--B--", media=media) == []
    assert api.post(MULTIPART[name] + b"--B--", media=media) != []


def test_a_preamble_and_an_epilogue_that_only_some_parsers_skip() -> None:
    api = Api(one_body(USER, "multipart/form-data"))
    good = part('form-data; name="name"') + b"--B--\r\n"
    for body in (b"x\r\n" + good, good + b"x", good + good, good[:-8]):
        assert api.post(body, media="multipart/form-data; boundary=B") != []


def test_findings_never_repeat_what_was_sent() -> None:
    api = Api(one_body(USER))
    for value in ({"name": "s3cret" * 10}, {"age": "s3cret"}, {"name": ["s3cret"]}, "s3cret"):
        body = json.dumps(value).encode()
        findings: tuple[Any, ...] = api.ask("POST", "/x", (), body, "application/json")
        assert findings and "s3cret" not in repr(findings)
    api = Api(one_parameter(INTEGER))
    assert "s3cret" not in repr(api.ask("GET", "/x?id=s3cret"))
