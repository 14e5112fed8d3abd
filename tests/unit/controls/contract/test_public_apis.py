"""Three public APIs as they are described in tests/data/openapi, and whole documents where there are any.

For every operation a request that fits is made and passes; then it is spoilt in one way after another, and
each time it is refused."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from contract_harness import Api, make_head
from public_apis import read_public_api
from sallygate.controls.contract import Contract
from sallygate.model.operation import Operation
from sallygate.model.request import EMPTY_BODY
from sallygate.parsing.openapi.document import public_view, read_document, read_operations
from sallygate.parsing.openapi.routes import RouteTable
from sallygate.parsing.pointers import resolve_pointer

DATA = Path(os.environ.get("SALLYGATE_DATA", Path(__file__).parents[5] / "shared" / "data")) / "openapi"
WHOLE = (
    sorted(file for file in DATA.glob("*") if file.suffix in (".json", ".yaml", ".yml", ".gz")) if DATA.is_dir() else []
)

# name → operations, requests that fit, requests spoilt
APIS = {"github": (272, 272, 1173), "stripe": (39, 39, 143), "petstore": (19, 19, 55)}


class Maker:
    """Values that fit a schema, and values that do not."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def follow(self, schema: dict[str, Any]) -> dict[str, Any]:
        found: Any = schema
        while "$ref" in found:
            found = resolve_pointer(self.document, found["$ref"][1:])
        return found  # type: ignore[no-any-return]

    def good(self, schema: dict[str, Any]) -> Any:
        schema = self.follow(schema)
        kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
        if "enum" in schema:
            return schema["enum"][-1]
        if kind == "array":
            return [self.good(schema["items"])]
        if kind == "object":
            return {name: self.good(inner) for name, inner in schema.get("properties", {}).items()}
        if schema.get("format") == "date-time":
            return "2026-11-23T10:00:00Z"
        return {"string": "text", "integer": schema.get("maximum", 7), "number": 1.5, "boolean": True}[kind]

    def bad(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Values that break one thing; not those that only text cannot express."""
        schema = self.follow(schema)
        kind = schema["type"]
        if "enum" in schema or schema.get("format") == "date-time":
            yield "no such word"
        if kind == "array":
            yield from ([item] for item in self.bad(schema["items"]))
        elif kind in ("integer", "boolean", "number"):
            yield "text"
        if "maximum" in schema:
            yield schema["maximum"] + 1
            yield schema["minimum"] - 1


def as_text(value: Any) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value), safe="")


def as_pairs(name: str, value: Any, explode: bool = True) -> list[str]:
    if isinstance(value, list):
        names = [
            name if explode else f"{name}[{at}]" if isinstance(item, dict) else f"{name}[]"
            for at, item in enumerate(value)
        ]
        return [pair for at, item in zip(names, value, strict=True) for pair in as_pairs(at, item, False)]
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in as_pairs(f"{name}[{key}]", inner, False)]
    return [f"{name}={as_text(value)}"]


def requests(maker: Maker, operation: Operation) -> Iterator[tuple[bool, str, dict[str, str], bytes | None, str]]:
    """(fits, target, headers, body, media) of one request that fits and of several that do not."""
    values: dict[tuple[str, str], Any] = {(p.place, p.name): maker.good(dict(p.schema)) for p in operation.parameters}  # type: ignore[arg-type]
    media = operation.body[0] if operation.body else None
    schema: Any = media.schema if media else None
    body = maker.good(schema) if media and media.name != "application/octet-stream" else None

    def build(
        values: dict[tuple[str, str], Any], body: Any, more: str = ""
    ) -> tuple[str, dict[str, str], bytes | None, str]:
        path = operation.path
        for (place, name), value in values.items():
            path = path.replace("{" + name + "}", as_text(value)) if place == "path" else path
        pairs = [pair for (place, name), value in values.items() if place == "query" for pair in as_pairs(name, value)]
        headers = {name: str(value) for (place, name), value in values.items() if place == "header"}
        query = "&".join([*pairs, *([more] if more else [])])
        return (path + ("?" + query if query else ""), headers, *encoded(media.name if media else "", body))

    yield True, *build(values, body)
    yield False, *build(values, body, "nobody_declared_this=1")
    for parameter in operation.parameters:
        if parameter.required and parameter.place == "query":
            yield False, *build({key: v for key, v in values.items() if key != (parameter.place, parameter.name)}, body)
        if parameter.place == "query" and isinstance(values["query", parameter.name], str | int):
            yield False, *build(values, body, f"{parameter.name}=again")
        for value in maker.bad(dict(parameter.schema)):  # type: ignore[arg-type]
            yield False, *build({**values, (parameter.place, parameter.name): value}, body)
    if isinstance(body, dict) and maker.follow(schema).get("properties"):
        yield False, *build(values, {**body, "nobody_declared_this": 1})
        for name in maker.follow(schema).get("required", ()):
            yield False, *build(values, {key: value for key, value in body.items() if key != name})
        for name, inner in maker.follow(schema)["properties"].items():
            for value in maker.bad(inner):
                yield False, *build(values, {**body, name: value})


def encoded(media: str, body: Any) -> tuple[bytes | None, str]:
    if not media or body is None:
        return (b"\x00\xff" if media == "application/octet-stream" else None), media
    if media == "application/x-www-form-urlencoded":
        return "&".join(pair for name, value in body.items() for pair in as_pairs(name, value, False)).encode(), media
    if media == "multipart/form-data":
        parts = [
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in body.items()
        ]
        return ("".join(parts) + "--B--").encode(), media + "; boundary=B"
    return (body if media == "text/plain" else json.dumps(body)).encode(), media


@pytest.mark.parametrize("name", APIS)
def test_requests_to_a_public_api_are_decided_right(name: str) -> None:
    document = read_public_api(name)
    api = Api(document)
    maker = Maker(document)
    counted: Counter[bool] = Counter()
    wrong = []
    for operation in api.operations.values():
        for fits, target, headers, body, media in requests(maker, operation):
            counted[fits] += 1
            found = api.ask(operation.method, target, headers, body, media or None)
            if fits != (not found):
                wrong.append((fits, operation.id, target, body, found))
    assert wrong == []
    assert (len(api.operations), counted[True], counted[False]) == APIS[name]


@pytest.mark.parametrize("name", APIS)
def test_every_path_of_a_public_api_leads_to_its_operation(name: str) -> None:
    operations = read_operations(read_public_api(name))
    table = RouteTable(operations, "/base")
    for operation in operations:
        path = "/base" + operation.path.replace("{", "").replace("}", "")
        match = table.match(operation.method, path.encode(), tuple(path.split("/")[1:]))
        assert match is not None and match.operation is operation
        assert all(name == value for name, value in match.path_values)


@pytest.mark.parametrize("name", APIS)
def test_the_public_view_of_a_public_api_is_the_same_api(name: str) -> None:
    document = read_public_api(name)
    assert [o.id for o in read_operations(public_view(document))] == [o.id for o in read_operations(document)]


@pytest.mark.skipif(not WHOLE, reason="no whole documents; $SALLYGATE_DATA/openapi may hold some")
@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.name)
def test_whole_documents_compile_and_their_operations_answer(file: Path) -> None:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    document = read_document(data, file.name)
    operations = read_operations(document)
    contract = Contract(document, operations)
    table = RouteTable(operations)
    assert operations
    for operation in operations:
        path = operation.path.replace("{", "").replace("}", "")
        head = make_head(operation.method, quote(path) + "?nobody_declared_this=1")
        match = table.match(operation.method, head.raw_path, head.segments)
        assert match is not None
        contract.judge(operation, head, match.path_values if match.operation is operation else (), EMPTY_BODY)
