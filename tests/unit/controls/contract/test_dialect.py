"""What OpenAPI 3.0 and 3.1 say differently, and what both leave to whoever reads them."""

from __future__ import annotations

from typing import Any

import pytest

from contract_harness import Api, document, one_body, one_parameter
from sallygate.parsing.openapi.document import OpenAPIError

# version, schema, values that pass, values that do not
CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("3.0.3", {"type": "string", "nullable": True}, ["a", None], [1]),
    ("3.0.3", {"type": "string"}, ["a"], [None]),
    ("3.0.3", {"type": "string", "enum": ["a"], "nullable": True}, ["a", None], ["b"]),
    ("3.0.3", {"nullable": True, "allOf": [{"$ref": "#/components/schemas/S"}]}, ["a", None], [1]),
    ("3.1.0", {"type": ["string", "null"]}, ["a", None], [1]),
    ("3.1.0", {"type": "string", "nullable": True}, ["a"], [None]),
    ("3.0.3", {"type": "integer", "minimum": 1, "exclusiveMinimum": True}, [2], [1, 0]),
    ("3.0.3", {"type": "integer", "minimum": 1, "exclusiveMinimum": False}, [1], [0]),
    ("3.0.3", {"type": "number", "maximum": 1, "exclusiveMaximum": True}, [0.9], [1]),
    ("3.1.0", {"type": "integer", "exclusiveMinimum": 1}, [2], [1]),
    ("3.0.3", {"$ref": "#/components/schemas/S", "maxLength": 1}, ["abc"], [1]),
    ("3.1.0", {"$ref": "#/components/schemas/S", "maxLength": 1}, ["a"], ["abc", 1]),
    ("3.1.0", {"const": 5}, [5, 5.0], ["5", 6]),
    ("3.1.0", {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}, [[1], []], [["a"], [1, 2]]),
    ("3.1.0", {"$ref": "#word"}, ["a"], [1]),
    ("3.1.0", {"$ref": "#/paths/~1x/post/requestBody/content/application~1json/schema/$defs/d", "$defs": {"d": {"type": "integer"}}}, [1], ["a"]),
    ("3.0.3", {"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, 1.5]),
    ("3.1.0", {"type": "integer", "format": "int64"}, [2**63 - 1], [2**63, -(2**63) - 1, 10**40]),
    ("3.0.3", {"type": "integer", "format": "int32", "minimum": 5, "allOf": [{"maximum": 9}]}, [5, 9], [4, 10]),
    ("3.0.3", {"type": "number", "format": "float"}, [1.5, 3e38], [3.5e38]),
    ("3.0.3", {"type": "number", "format": "double"}, [1e300], ["1"]),
    ("3.0.3", {"type": "string", "format": "byte"}, ["", "YQ==", "YWI=", "YWJj"], ["YQ", "Y", "****", "YQ==\n"]),
    ("3.0.3", {"type": "string", "format": "binary"}, ["\u0000anything"], [1]),
    ("3.0.3", {"type": "string", "format": "date-time"}, ["2026-11-23T10:00:00Z"], ["yesterday", "2026-13-01T00:00:00Z"]),
    ("3.1.0", {"type": "string", "format": "date"}, ["2026-11-23"], ["23.11.2026", "2026-02-30"]),
    ("3.1.0", {"type": "string", "format": "uuid"}, ["9b2c8e2e-1b4b-4f4e-8f51-000000000000"], ["9b2c8e2e"]),
    ("3.1.0", {"type": "string", "format": "email"}, ["a@b.example"], ["a@"]),
    ("3.1.0", {"type": "string", "format": "ipv4"}, ["192.0.2.1"], ["192.0.2.256", "0300.0.2.1"]),
    ("3.1.0", {"type": "string", "format": "something-of-ours"}, ["x"], [1]),
    ("3.0.3", {"type": "object", "properties": {"example": {"type": "string"}, "enum": {"type": "integer"}}, "example": {"x": 1}}, [{"example": "e", "enum": 1}], [{"enum": "x"}, {"x": 1}]),
    ("3.0.3", {"type": "object", "properties": {"$ref": {"type": "string"}}}, [{"$ref": "x"}], [{"$ref": 1}]),
    ("3.0.3", {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind", "kind"], "discriminator": {"propertyName": "kind"}}, [{"kind": "a"}], [{}]),
    ("3.0.3", {"type": "string", "pattern": "^[a-z]+$"}, ["abc"], ["ABC", "abc\n", ""]),
    ("3.0.3", {"type": "string", "pattern": "^\\d{2}$"}, ["12"], ["١٢"]),
    ("3.0.3", {"type": "string", "pattern": "^(?!admin)[a-z]+$"}, ["user"], ["administrator"]),
    ("3.0.3", {"type": "array", "uniqueItems": True}, [[1, 2]], [[1, 1.0], [{"a": 1}, {"a": 1}]]),
    ("3.0.3", {"type": "object", "minProperties": 1, "maxProperties": 2}, [{"a": 1}], [{}, {"a": 1, "b": 2, "c": 3}]),
    ("3.0.3", {"type": "number", "multipleOf": 0.01}, [0.07, 1.13], [0.005]),
    ("3.1.0", True, [1, None, {}], []),
    ("3.1.0", False, [], [1, None, {}]),
]  # fmt: skip

SCHEMAS = {"S": {"type": "string", "$anchor": "word"}}


@pytest.mark.parametrize("at", range(len(CASES)))
def test_a_schema_means_what_its_version_says(at: int) -> None:
    version, schema, good, bad = CASES[at]
    api = Api(one_body(schema, version=version, schemas=SCHEMAS))
    assert [(value, api.post(value)) for value in good if api.post(value)] == []
    assert [value for value in bad if not api.post(value)] == []


def test_how_many_cases_ran() -> None:
    assert len(CASES) == 40
    assert sum(len(good) + len(bad) for *_, good, bad in CASES) == 114


def test_formats_can_be_left_unchecked() -> None:
    api = Api(one_body({"type": "string", "format": "date"}), formats=False)
    assert api.post("soon") == []
    assert Api(one_body({"type": "integer", "format": "int32"}), formats=False).post(2**31) == []


def test_patterns_that_backtrack_are_bounded_and_named() -> None:
    described = one_body({"type": "string", "pattern": "^(?=.*[0-9]).{3,}$"})
    api = Api(described)
    assert api.post("ab1") == []
    assert api.post("abc") == ["body body:/ pattern"]
    (note,) = api.contract.notes
    assert note.startswith("/paths/~1x/post/requestBody/content/application~1json/schema: ")
    assert Api(one_body({"type": "string", "pattern": "^(a+)+$"})).contract.notes == ()


def test_everything_wrong_with_the_schemas_comes_at_once() -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Bad"}}}
    described = document(
        {
            "/a": {"get": {"parameters": [{"name": "p", "in": "query", "schema": {"type": "integr"}}]}},
            "/b": {"post": {"requestBody": {"content": content}}},
            "/c": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "other.yaml#/X"}}}}}},
            "/d": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}}},
        },
        components={"schemas": {"Bad": {"type": "object", "properties": {"n": {"type": "string", "minLength": "3"}}}}},
    )
    with pytest.raises(OpenAPIError) as caught:
        Api(described)
    problems = dict(caught.value.problems)
    assert "bundle" in problems["/paths/~1c/post/requestBody/content/application~1json/schema"]
    assert "nowhere" in problems["/paths/~1d/post/requestBody/content/application~1json/schema"]
    assert "/paths/~1a/get/parameters/0/schema/type" in problems
    assert "/components/schemas/Bad/properties/n/minLength" in problems


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(OpenAPIError) as caught:
        Api(one_body({"type": "string", "pattern": "("}))
    assert caught.value.problems[0][0] == "/paths/~1x/post/requestBody/content/application~1json/schema"


def test_a_schema_that_only_leads_to_itself() -> None:
    schemas = {"Loop": {"$ref": "#/components/schemas/Loop"}, "All": {"allOf": [{"$ref": "#/components/schemas/All"}]}}
    for name in schemas:
        with pytest.raises(OpenAPIError) as caught:
            Api(one_body({"$ref": f"#/components/schemas/{name}"}, schemas=schemas))
        assert caught.value.problems[0][0] == f"/components/schemas/{name}"


def test_a_chain_of_references_too_long_to_follow_is_a_problem_not_a_crash() -> None:
    schemas: dict[str, Any] = {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}]} for n in range(5000)}
    schemas["S5000"] = {"type": "string"}
    with pytest.raises(OpenAPIError):
        Api(one_body({"$ref": "#/components/schemas/S0"}, schemas=schemas))


def test_schemas_nobody_uses_do_not_matter() -> None:
    Api(one_parameter({"name": "p", "in": "query", "schema": {}}, components={"schemas": {"Bad": {"type": 5}}}))
