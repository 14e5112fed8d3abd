"""Settings that read a document less strictly: nulls, overlapping alternatives, and all of them for single operations."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from contract_harness import Api, one_body
from sallygate.controls.contract.schemas import THIN_FEW
from sallygate.controls.contract.settings import ContractSettings

RECORD = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "note": {"type": "string", "maxLength": 5},
        "kind": {"enum": ["a", "b"]},
        "id": {"type": "integer", "readOnly": True},
        "to": {"type": "object", "properties": {"city": {"type": "string"}}},
        "size": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    },
}


@pytest.mark.parametrize(
    ("body", "strict", "lenient"),
    [
        ({"name": "a", "note": None}, ["body body:/note nullable"], []),
        ({"name": "a", "kind": None}, ["body body:/kind nullable"], []),
        ({"name": "a", "to": {"city": None}}, ["body body:/to/city nullable"], []),
        ({"name": "a", "to": None}, ["body body:/to nullable"], []),
        ({"name": None}, ["body body:/name nullable"], ["body body:/name nullable"]),
        ({"name": "a", "note": 5}, ["body body:/note type"], ["body body:/note type"]),
        ({"name": "a", "note": "longer"}, ["body body:/note maxLength"], ["body body:/note maxLength"]),
        ({"name": "a", "id": None}, ["body body:/id readOnly"], ["body body:/id readOnly"]),
        (
            {"name": "a", "more": None},
            ["body body:/more additionalProperties"],
            ["body body:/more additionalProperties"],
        ),
    ],
)
def test_null_stands_for_a_field_that_is_left_out(body: Any, strict: list[str], lenient: list[str]) -> None:
    assert Api(one_body(RECORD)).post(body) == strict
    assert Api(one_body(RECORD), nulls="allow").post(body) == lenient


def test_the_document_is_not_changed() -> None:
    described = one_body(RECORD)
    before = copy.deepcopy(described)
    Api(described, nulls="allow", overlaps="allow")
    assert described == before


def test_a_value_may_fit_several_alternatives() -> None:
    assert Api(one_body(RECORD)).post({"name": "a", "size": 3}) == ["body body:/size oneOf"]
    api = Api(one_body(RECORD), overlaps="allow")
    assert api.post({"name": "a", "size": 3}) == [] == api.post({"name": "a", "size": 3.5})
    assert api.post({"name": "a", "size": "3"}) == ["body body:/size type"]


def test_a_schema_with_both_keywords_keeps_both() -> None:
    schema = {"oneOf": [{"type": "integer"}, {"type": "number"}], "anyOf": [{"minimum": 5}, {"multipleOf": 2}]}
    api = Api(one_body(schema), overlaps="allow")
    assert api.post(7) == [] == api.post(2)
    assert api.post(3) != []


def test_one_operation_has_settings_of_its_own() -> None:
    described = one_body(RECORD)
    described["paths"]["/y"] = copy.deepcopy(described["paths"]["/x"])
    for path in ("/x", "/y"):
        described["paths"][path]["post"]["operationId"] = path[1:]
    own = {"y": ContractSettings(nulls="allow", unknown_fields="ignore", unknown_query="ignore")}
    api = Api(described, by_operation=own)
    body = {"name": "a", "note": None, "more": 1}
    assert len(api.post(body, "/x?q=1")) == 3
    assert api.post(body, "/y?q=1") == []
    assert api.post({"name": 1}, "/y") == ["body body:/name type"]


def test_what_is_wrong_with_many_elements_is_said_of_the_first() -> None:
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "minItems": 100, "items": {"anyOf": [RECORD, {"type": "boolean"}]}}},
    }
    rows = [{"name": "a", "note": None} for _ in range(2000)]
    found = Api(one_body(schema)).post({"rows": rows})
    assert found == [f"body body:/rows/{at}/note nullable" for at in range(THIN_FEW)]
    assert not any("minItems" in one for one in found)
