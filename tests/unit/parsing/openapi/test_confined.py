"""What a schema leaves no room for an attack in."""

from __future__ import annotations

import pytest

from sallygate.parsing.openapi.confined import confined_fields
from sallygate.parsing.openapi.document import read_document, read_operations

CASES = [
    ({"type": "integer"}, True), ({"type": "number"}, True), ({"type": "boolean"}, True), ({"enum": ["a", "b"]}, True), ({"const": "a"}, True),
    ({"type": "string", "format": "uuid"}, True), ({"type": "string", "format": "date"}, True), ({"$ref": "#/components/schemas/Number"}, True),
    ({"type": "string"}, False), ({"type": "string", "format": "email"}, False), ({"type": ["integer", "string"]}, False), ({}, False),
    ({"type": "string", "maxLength": 10}, False), ({"$ref": "#/components/schemas/Text"}, False), ({"$ref": "#/components/schemas/Round"}, False),
    ({"type": "array", "items": {"type": "integer"}}, False), ({"anyOf": [{"type": "integer"}]}, False),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "confined"), CASES)
def test_confined(schema: dict[str, object], confined: bool) -> None:
    import json

    schemas = {
        "Number": {"type": "integer"},
        "Text": {"type": "string"},
        "Round": {"$ref": "#/components/schemas/Number"},
    }
    document = read_document(json.dumps({
        "openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "components": {"schemas": schemas},
        "paths": {"/x": {"get": {"operationId": "x", "parameters": [{"name": "q", "in": "query", "schema": schema}], "responses": {}}}},
    }).encode(), "openapi.json")  # fmt: skip
    assert confined_fields(read_operations(document), document) == ({"x": frozenset({"query:q"})} if confined else {})


def test_how_many_there_are() -> None:
    assert len(CASES) == 17
