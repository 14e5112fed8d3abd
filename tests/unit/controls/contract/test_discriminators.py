"""Alternatives chosen by a discriminator, and classes as generators write them."""

from __future__ import annotations

from typing import Any

import pytest

from contract_harness import Api, one_body

CAT = {"type": "object", "properties": {"kind": {"type": "string"}, "hunts": {"type": "boolean"}}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"type": "string"}, "barks": {"type": "boolean"}}, "required": ["kind"]}
REFERENCES = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]


def pets(keyword: str = "oneOf", mapping: dict[str, str] | None = None, version: str = "3.1.0", **more: Any) -> Api:
    discriminator: dict[str, Any] = {"propertyName": "kind"}
    if mapping is not None:
        discriminator["mapping"] = mapping
    schema = {keyword: REFERENCES, "discriminator": discriminator, **more}
    return Api(one_body(schema, version=version, schemas={"Cat": CAT, "Dog": DOG}))


def judged(api: Api, body: str) -> list[str]:
    return api.post(body.encode())


MAPPING = {"cat": "#/components/schemas/Cat", "dog": "Dog"}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_a_value_is_judged_by_the_alternative_it_names(keyword: str, version: str) -> None:
    api = pets(keyword, MAPPING, version)
    assert not judged(api, '{"kind":"cat","hunts":true}')
    assert not judged(api, '{"kind":"dog","barks":true}')
    assert not judged(api, '{"kind":"Cat","hunts":true}'), "the name of a schema is a name too"
    assert judged(api, '{"kind":"cat","barks":true}')
    assert judged(api, '{"kind":"dog","hunts":true}')
    assert judged(api, '{"kind":"cat","hunts":1}')
    assert judged(api, '{"hunts":true}') and judged(api, '{"kind":"cat","hunts":true,"admin":1}')


def test_without_a_mapping_alternatives_go_by_their_names() -> None:
    api = pets()
    assert not judged(api, '{"kind":"Cat","hunts":true}')
    assert judged(api, '{"kind":"Dog","hunts":true}')


def test_a_value_that_names_none_is_judged_by_all() -> None:
    """As before: documents exist whose mapping says half of it."""
    api = pets("anyOf", {"cat": "Cat"})
    assert judged(api, '{"kind":"bird","hunts":true,"swims":true}')
    assert not judged(api, '{"kind":"bird","hunts":true}')
    assert not judged(api, '{"kind":"bird","barks":true}')


def test_what_a_name_leads_to_is_refused_at_its_place() -> None:
    assert judged(pets(mapping=MAPPING), '{"kind":"cat","hunts":"x"}') == ["body body:/hunts type"]


def springdoc(version: str = "3.0.1", deep: bool = False) -> Api:
    """A base class that lists its classes, each of which inherits from it."""
    parent = "Middle" if deep else "Flow"
    schemas = {
        "Flow": {
            "type": "object", "properties": {"type": {"type": "string"}, "id": {"type": "integer"}}, "required": ["type"],
            "discriminator": {"propertyName": "type"},
            "oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}],
        },
        "Middle": {"allOf": [{"$ref": "#/components/schemas/Flow"}, {"type": "object", "properties": {"m": {}}}]},
        "A": {"allOf": [{"$ref": f"#/components/schemas/{parent}"},
                        {"type": "object", "properties": {"a": {"type": "integer"}}}]},
        "B": {"allOf": [{"$ref": "#/components/schemas/Flow"},
                        {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
    }  # fmt: skip
    return Api(one_body({"$ref": "#/components/schemas/Flow"}, version=version, schemas=schemas))


@pytest.mark.parametrize("version", ["3.0.1", "3.1.0"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_class_that_lists_its_own_classes(version: str, deep: bool) -> None:
    api = springdoc(version, deep)
    assert not judged(api, '{"type":"A","id":1,"a":2}')
    assert not judged(api, '{"type":"B","id":1,"b":2}')
    assert judged(api, '{"type":"B","id":1}') and judged(api, '{"type":"A","b":2}')
    assert judged(api, '{"type":"A","a":"x"}') and judged(api, '{"type":"A","id":"x"}')
    assert judged(api, '{"type":"A","a":2,"admin":true}'), "the place is closed as ever"
    assert bool(judged(api, '{"type":"A","m":1}')) is not deep


def test_a_circle_without_an_end_is_still_refused() -> None:
    with pytest.raises(Exception, match="leads to itself"):
        schemas = {
            "A": {"allOf": [{"$ref": "#/components/schemas/B"}]},
            "B": {"allOf": [{"$ref": "#/components/schemas/A"}]},
        }
        Api(one_body({"$ref": "#/components/schemas/A"}, schemas=schemas))


# what is said of alternatives ------------------------------------------------------------------------------------------

CARD = {
    "type": "object",
    "properties": {"number": {"type": "string", "pattern": "^[0-9]{16}$"}},
    "required": ["number"],
}
BANK = {
    "type": "object",
    "properties": {"iban": {"type": "string"}, "bic": {"type": "string"}},
    "required": ["iban", "bic"],
}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"number":"123"}', ["/number does not match ^[0-9]{16}$"]),
        ('{"number":5}', ["/number is to be string, and is integer"]),
        ('{"iban":"a","bic":5}', ["/bic is to be string, and is integer"]),
        ('{"number":"1234567812345678","admin":true}', ["/admin is not declared"]),
        ('{"number":"1234567812345678","iban":"a","bic":"b"}',
         ["the body fits alternatives 1 and 2 of 2, and may fit one only"]),
        ("[]", ["the body is to be object, and is array"]),
    ],
)  # fmt: skip
def test_the_nearest_alternative_says_what_is_wrong(body: str, said: list[str]) -> None:
    api = Api(one_body({"oneOf": [CARD, BANK]}))
    found = api.ask("POST", "/x", (), body.encode(), "application/json")
    assert [one.detail for one in found] == said


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string"}, "null", "is to be string, and is null"),
        ({"minimum": 1}, "0", "is below 1"),
        ({"type": "array", "maxItems": 1}, "[1,2]", "has more items than 1"),
        ({"enum": ["a", "b"]}, '"secret"', "is none of a, b"),
        ({"type": "string", "format": "date"}, '"secret"', "is no date"),
        ({"const": "x"}, '"secret"', "is not x"),
        ({"type": "string", "pattern": "a" * 300}, '"secret"', "does not match " + "a" * 100 + "…"),
    ],
)
def test_a_refusal_says_what_was_asked_for_and_repeats_no_value(schema: Any, value: str, said: str) -> None:
    api = Api(one_body({"type": "object", "properties": {"v": schema}}))
    (found,) = api.ask("POST", "/x", (), b'{"v":%s}' % value.encode(), "application/json")
    assert found.detail == f"/v {said}" and "secret" not in found.detail
