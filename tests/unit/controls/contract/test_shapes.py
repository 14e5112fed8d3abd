"""Objects are closed where their schema declares fields, whatever it is composed of, and stay open where it
does not."""

from __future__ import annotations

from typing import Any

import pytest

from contract_harness import Api, one_body

A = {"type": "object", "properties": {"a": {"type": "integer"}}}
B = {"type": "object", "properties": {"b": {"type": "integer"}}}
SCHEMAS: dict[str, Any] = {
    "A": A,
    "B": B,
    "Required": {"required": ["a"]},
    "Free": {"type": "object"},
    "Both": {"allOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]},
    "Tree": {"type": "object", "properties": {"v": {}, "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}},
    "Node": {"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"next": {"$ref": "#/components/schemas/Node"}}}]},
    "Map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/A"}},
    "Explicit": {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
}  # fmt: skip


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


# schema, bodies that pass, bodies with a field nobody declared
CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "plain": (A, [{}, {"a": 1}], [{"x": 1}, {"a": 1, "x": 1}]),
    "reference": (ref("A"), [{"a": 1}], [{"a": 1, "x": 1}]),
    "allOf of references": (ref("Both"), [{"a": 1, "b": 1}], [{"a": 1, "b": 1, "x": 1}]),
    "allOf and own properties": ({"allOf": [ref("A")], "properties": {"c": {}}}, [{"a": 1, "c": 2}], [{"a": 1, "x": 1}]),
    "allOf with a bare object as a branch": ({"allOf": [ref("A"), {"type": "object", "description": "d"}]}, [{"a": 1}], [{"x": 1}]),
    "allOf with a free component as a branch": ({"allOf": [ref("A"), ref("Free")]}, [{"a": 1}], [{"x": 1}]),
    "allOf with a constraint as a branch": ({"allOf": [ref("A"), ref("Required")]}, [{"a": 1}], [{}, {"a": 1, "x": 1}]),
    "allOf nested": ({"allOf": [{"allOf": [{"allOf": [ref("Both")]}]}]}, [{"a": 1, "b": 1}], [{"a": 1, "x": 1}]),
    "anyOf of references": ({"anyOf": [ref("A"), ref("B")]}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}, {}], [{"x": 1}]),
    "oneOf told apart": (
        {"oneOf": [{"allOf": [ref("A"), {"required": ["a"]}]}, {"allOf": [ref("B"), {"required": ["b"]}]}]},
        [{"a": 1}, {"b": 1}], [{"a": 1, "x": 1}, {"a": 1, "b": 1}, {}],
    ),
    "anyOf of constraints beside properties": (
        {**A, "anyOf": [{"required": ["a"]}, {"type": "object", "required": ["b"]}]}, [{"a": 1}], [{"a": 1, "x": 1}, {"b": 1}],
    ),
    "anyOf of constraints beside allOf": (
        {"allOf": [ref("A")], "anyOf": [{"type": "object", "required": ["a"]}]}, [{"a": 1}], [{"a": 1, "x": 1}],
    ),
    "anyOf of a constraint and of properties beside allOf": (
        {"allOf": [ref("A")], "anyOf": [{"type": "object", "required": ["a"]}, {**B, "required": ["b"]}]},
        [{"a": 1}, {"a": 1, "b": 1}], [{"a": 1, "x": 1}, {}],
    ),
    "an alternative that is free": ({"oneOf": [{**A, "required": ["a"]}, {"type": "object", "maxProperties": 0}]}, [{"a": 1}, {}], [{"x": 1, "a": 1}]),
    "a free alternative": ({"anyOf": [ref("A"), ref("Free")]}, [{"a": 1}, {"x": 1}], [[]]),
    "an alternative that is anything": ({"anyOf": [ref("A"), {}]}, [{"a": 1}, {"x": 1}, 5], []),
    "free": ({"type": "object"}, [{"x": 1}], []),
    "free component": (ref("Free"), [{"x": {"y": 1}}], []),
    "nothing said": ({}, [{"x": 1}, [1], None], []),
    "explicitly open": (ref("Explicit"), [{"a": 1, "x": 1}], []),
    "explicitly open inside allOf": ({"allOf": [ref("A"), ref("Explicit")]}, [{"x": 1}], []),
    "explicitly open alternative": ({**A, "anyOf": [{"additionalProperties": True}]}, [{"x": 1}], []),
    "explicitly closed": ({**A, "additionalProperties": False}, [{"a": 1}], [{"x": 1}]),
    "map": (ref("Map"), [{"k": {"a": 1}}], [{"k": {"x": 1}}, {"k": 1}]),
    "patterns": ({"type": "object", "properties": {"a": {}}, "patternProperties": {"^n_": {}}}, [{"a": 1, "n_1": 2}], [{"x": 1}]),
    "property": ({"type": "object", "properties": {"p": ref("Both")}}, [{"p": {"a": 1}}], [{"p": {"x": 1}}]),
    "items": ({"type": "array", "items": ref("Both")}, [[{"a": 1}]], [[{"a": 1}, {"x": 1}]]),
    "tuple": ({"type": "array", "prefixItems": [ref("A"), ref("B")]}, [[{"a": 1}, {"b": 1}]], [[{"b": 1}], [{"a": 1}, {"a": 1}]]),
    "recursive": (ref("Tree"), [{"v": 1, "children": [{"children": []}]}], [{"children": [{"children": [{"x": 1}]}]}]),
    "recursive through allOf": (ref("Node"), [{"a": 1, "next": {"next": {"a": 2}}}], [{"next": {"next": {"x": 1}}}]),
    "nested in a branch": (
        {"allOf": [{"properties": {"p": A}}, {"properties": {"q": B}}]}, [{"p": {"a": 1}, "q": {"b": 1}}], [{"p": {"b": 1}}, {"q": {"x": 1}}],
    ),
    "if then else": (
        {"properties": {"kind": {}}, "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
         "then": {"properties": {"a": {}}}, "else": {"properties": {"b": {}}}},
        [{"kind": "a", "a": 1}, {"kind": "z", "b": 1}], [{"kind": "a", "b": 1}, {"kind": "z", "a": 1}, {"x": 1}],
    ),
    "dependentSchemas": (
        {"properties": {"a": {}}, "dependentSchemas": {"a": {"properties": {"c": {}}}}}, [{"a": 1, "c": 1}], [{"c": 1}, {"a": 1, "x": 1}],
    ),
    "not keeps its meaning": (
        {"properties": {"p": {"type": "object"}}, "not": {"properties": {"p": {"properties": {"bad": {"const": 1}}, "required": ["bad"]}}, "required": ["p"]}},
        [{}, {"p": {"bad": 2}}], [{"p": {"bad": 1}}, {"p": {"bad": 1, "hidden": 1}}],
    ),
    "contains keeps its meaning": (
        {"type": "array", "contains": {"properties": {"a": {}}, "required": ["a"]}, "maxContains": 1},
        [[{"a": 1}]], [[{"a": 1}, {"a": 1, "x": 1}]],
    ),
    "reference with siblings": ({"$ref": "#/components/schemas/A", "properties": {"c": {}}}, [{"a": 1, "c": 1}], [{"a": 1, "x": 1}]),
    "nullable alternative": ({"anyOf": [ref("A"), {"type": "null"}]}, [None, {"a": 1}], [{"x": 1}]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fields_nobody_declared_are_refused(name: str) -> None:
    schema, good, bad = CASES[name]
    api = Api(one_body(schema, schemas=SCHEMAS))
    assert [(body, api.post(body)) for body in good if api.post(body)] == []
    assert [body for body in bad if not api.post(body)] == []


def test_how_many_cases_ran() -> None:
    assert len(CASES) == 37
    assert sum(len(good) + len(bad) for _, good, bad in CASES.values()) == 95


@pytest.mark.parametrize("name", CASES)
def test_what_the_switch_lets_through_is_only_fields(name: str) -> None:
    """With `unknown_fields: ignore` everything that passed still passes."""
    schema, good, _ = CASES[name]
    api = Api(one_body(schema, schemas=SCHEMAS), unknown_fields="ignore")
    assert [(body, api.post(body)) for body in good if api.post(body)] == []
    assert Api(one_body(A), unknown_fields="ignore").post({"a": 1, "x": 1}) == []
    assert Api(one_body(A), unknown_fields="ignore").post({"a": "1", "x": 1}) == ["body body:/a type"]


def test_a_component_is_closed_as_a_body_and_open_as_a_branch_of_the_same_document() -> None:
    schema = {"type": "object", "properties": {"alone": ref("A"), "joined": {"allOf": [ref("A"), ref("B")]}}}
    api = Api(one_body(schema, schemas=SCHEMAS))
    assert api.post({"alone": {"a": 1}, "joined": {"a": 1, "b": 1}}) == []
    assert api.post({"alone": {"a": 1, "b": 1}}) == ["body body:/alone/b additionalProperties"]
    assert api.post({"joined": {"a": 1, "x": 1}}) == ["body body:/joined/x additionalProperties"]


def test_the_place_of_an_unknown_field_is_named() -> None:
    api = Api(one_body({"type": "array", "items": {"anyOf": [ref("A"), ref("B")]}}, schemas=SCHEMAS))
    assert api.post([{"a": 1}, {"x/y": 1}]) == ["body body:/1/x~1y additionalProperties"]


READ_ONLY = {
    "type": "object",
    "properties": {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}, "secret": {"type": "string", "writeOnly": True}},
    "required": ["id", "name"],
}  # fmt: skip


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_read_only_properties_are_not_required_and_not_taken(version: str) -> None:
    api = Api(one_body(READ_ONLY, version=version))
    assert api.post({"name": "n", "secret": "s"}) == []
    assert api.post({"name": "n", "id": "1"}) == ["body body:/id readOnly"]
    assert api.post({}) == ["body body:/ required"]


def test_read_only_can_be_let_through() -> None:
    api = Api(one_body(READ_ONLY), read_only="ignore")
    assert api.post({"name": "n", "id": "1"}) == []
    assert api.post({"name": "n", "id": 1}) == ["body body:/id type"]
    assert api.post({"name": "n"}) == []


@pytest.mark.parametrize("marked", [
    {"$ref": "#/components/schemas/Id"},
    {"allOf": [{"$ref": "#/components/schemas/Plain"}], "readOnly": True},
    {"allOf": [{"$ref": "#/components/schemas/Plain"}, {"readOnly": True}]},
])  # fmt: skip
def test_read_only_is_found_through_references_and_branches(marked: Any) -> None:
    schemas = {"Id": {"type": "string", "readOnly": True}, "Plain": {"type": "string"}}
    base = {"type": "object", "properties": {"id": marked, "name": {}}}
    for schema in ({**base, "required": ["id"]}, {"allOf": [base, {"required": ["id", "name"]}]}):
        api = Api(one_body(schema, schemas=schemas))
        assert api.post({"name": 1}) == []
        assert api.post({"name": 1, "id": "1"}) == ["body body:/id readOnly"]


def test_a_component_whose_required_is_lifted_in_one_place_only() -> None:
    needs = {"type": "object", "required": ["id"]}
    schema = {
        "type": "object",
        "properties": {
            "made": {"allOf": [{"properties": {"id": {"readOnly": True}}}, {"$ref": "#/components/schemas/Needs"}]},
            "given": {"allOf": [{"properties": {"id": {}}}, {"$ref": "#/components/schemas/Needs"}]},
        },
    }
    api = Api(one_body(schema, schemas={"Needs": needs}))
    assert api.post({"made": {}}) == []
    assert api.post({"given": {}}) == ["body body:/given required"]
