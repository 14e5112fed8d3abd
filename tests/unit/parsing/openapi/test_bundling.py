"""Documents in several files, and references wherever a document may have one."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sallygate.parsing.openapi.bundling import FILES_MAX, Bundler
from sallygate.parsing.openapi.document import OpenAPIError, read_document, read_operations
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from support import OPENAPI, write_policy

FILES: dict[str, Any] = {
    "paths/things.yaml": "get: {$ref: 'list.yaml#/list'}\npost:\n  operationId: make\n  requestBody: {$ref: ../shared/bodies.json#/Thing}\n",
    "paths/list.yaml": "list: {operationId: list, parameters: [{$ref: '../openapi.json#/components/parameters/Limit'}]}\n",
    "shared/bodies.json": '{"Thing": {"content": {"application/json": {"$ref": "#/Json"}}}, "Json": {"schema": {"$ref": "Thing.yaml"}}}',
    "shared/Thing.yaml": "type: object\nproperties: {owner: {$ref: 'Owner.yaml'}, $ref: {type: string}}\nexample: {$ref: 'none.yaml'}\n",
    "shared/Owner.yaml": "type: object\nproperties: {things: {type: array, items: {$ref: ./Thing.yaml}}}\n",
    "openapi.json": '{"components": {"parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer"}}}}}',
}
ROOT = {"openapi": "3.1.0", "paths": {"/things": {"$ref": "paths/things.yaml"}}}


def read(root: dict[str, Any], files: dict[str, str] = FILES) -> dict[str, Any]:
    def open_file(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[path].encode()

    return read_document(json.dumps(root).encode(), "openapi.json", open_file)


def test_what_stands_in_other_files_is_part_of_the_document() -> None:
    operations = {one.id: one for one in read_operations(read(ROOT))}
    assert set(operations) == {"list", "make"}
    assert [one.name for one in operations["list"].parameters] == ["limit"]
    (media,) = operations["make"].body
    assert media.name == "application/json" and media.schema == {"$ref": "#/x-sallygate-files/shared~1Thing.yaml"}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("../secret.yaml", "leads out of the document's directory"),
        ("/etc/passwd", "leads out of the document's directory"),
        ("a/../../secret.yaml", "leads out of the document's directory"),
        ("a/%2e%2e/%2e%2e/secret.yaml", "leads out of the document's directory"),
        ("https://example.com/a.yaml", "is on another machine"),
        ("//example.com/a.yaml", "is on another machine"),
        ("nothing.yaml", "No such file"),
        ("broken.yaml", "cannot be read"),
    ],
)
def test_files_that_are_not_read(reference: str, said: str) -> None:
    root = {"openapi": "3.1.0", "paths": {"/things": {"$ref": reference}}}
    with pytest.raises(OpenAPIError, match=said) as raised:
        read(root, {"broken.yaml": "a: [", "secret.yaml": "get: {}"})
    assert raised.value.problems[0][0] == "/paths/~1things/$ref"


def test_a_document_of_one_file_stays_as_it_is() -> None:
    with pytest.raises(OpenAPIError, match="bundle it"):
        read_document(json.dumps(ROOT).encode(), "openapi.json")
    assert read_document(json.dumps(OPENAPI).encode(), "openapi.json") == OPENAPI


def test_a_chain_of_files_may_be_as_long_as_there_may_be_files() -> None:
    last = f"{FILES_MAX - 1}.yaml"
    files = Bundler(lambda path: {"get": {}} if path == last else {"$ref": f"{int(path[:-5]) + 1}.yaml"})
    bundled = files.bundle({"paths": {"/a": {"$ref": "0.yaml"}}})
    assert not files.problems and len(bundled["x-sallygate-files"]) == FILES_MAX


@pytest.mark.parametrize(
    "place", ["responses", "parameters", "schemas", "content", "definitions", "properties", "links", "securitySchemes"]
)
@pytest.mark.parametrize("name", ["default", "example", "value", "enum", "mapping", "properties", "required"])
def test_a_name_of_the_authors_own_is_no_keyword(place: str, name: str) -> None:
    files = Bundler(lambda path: {"default": {"$ref": "data.yaml"}})
    bundled = files.bundle({place: {name: {"$ref": "own.yaml"}}})
    assert bundled[place] == {name: {"$ref": "#/x-sallygate-files/own.yaml"}}
    assert bundled["x-sallygate-files"] == {"own.yaml": {"default": {"$ref": "data.yaml"}}}, "data stays as it is"


def in_files(directory: Path, things: str = FILES["paths/things.yaml"]) -> Path:
    policy = write_policy(directory, "operations: {}")
    for name, text in {**FILES, "paths/things.yaml": things}.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    (directory / "openapi.json").write_text(json.dumps({**json.loads(FILES["openapi.json"]), **ROOT}))
    return policy


def test_a_policy_with_a_contract_in_several_files(tmp_path: Path) -> None:
    loaded = load_policy(policy := in_files(tmp_path), "in_process")
    assert {one.id for one in loaded.operations} == {"list", "make"}
    (tmp_path / "shared/Owner.yaml").write_text("type: string\n")
    assert load_policy(policy, "in_process").hash != loaded.hash, "every file is part of what is in force"


def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    policy = in_files(tmp_path / "api", "get: {$ref: out.yaml}\n")
    (tmp_path / "secret.yaml").write_text("operationId: a\n")
    (tmp_path / "api/paths/out.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(PolicyError, match="link out of the document's directory"):
        load_policy(policy, "in_process")


@pytest.mark.parametrize("name", ["openapi.json", "paths/list.yaml"])
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path, name: str) -> None:
    policy = in_files(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(PolicyError, match="not a regular file"):
        load_policy(policy, "in_process")


# every object that the reader looks at ---------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://a.example/v1"}],
    "security": [{"key": []}],
    "paths": {
        "/things/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "post": {
                "operationId": "make",
                "security": [{"key": ["write"]}],
                "parameters": [
                    {"name": "q", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}}
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {
                            "schema": {"type": "object", "properties": {"a": {"type": "object"}}},
                            "encoding": {"a": {"contentType": "application/json"}},
                        }
                    },
                },
            },
        }
    },
}


def objects(value: Any, pointer: str = "") -> list[str]:
    """Pointers of every object and array in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [pointer] if isinstance(value, dict | list) and pointer else []
    return found + [
        one
        for key, inner in items
        for one in objects(inner, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    ]


PLACES = objects(WHOLE)


def moved(pointer: str) -> dict[str, Any]:
    """The document with what is at `pointer` moved away, and a reference in its place."""
    document = copy.deepcopy(WHOLE)
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    holder: Any = document
    for step in steps[:-1]:
        holder = holder[int(step) if isinstance(holder, list) else step]
    last: Any = int(steps[-1]) if isinstance(holder, list) else steps[-1]
    document["x-moved"], holder[last] = holder[last], {"$ref": "#/x-moved"}
    return document


def described(document: dict[str, Any]) -> list[Any]:
    """What the operations say, references within schemas followed."""
    moved_away = document.get("x-moved")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return plain(moved_away) if value == {"$ref": "#/x-moved"} else {k: plain(v) for k, v in value.items()}
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    return [
        (one.id, one.method, one.path, one.base_paths, plain(one.security), one.body_required,
         [(p.name, p.place, p.required, p.style, plain(p.schema)) for p in one.parameters],
         [(m.name, plain(m.schema), plain(m.encoding)) for m in one.body])
        for one in read_operations(document)
    ]  # fmt: skip


@pytest.mark.parametrize("pointer", PLACES)
def test_a_reference_is_followed_or_refused_and_never_skipped(pointer: str) -> None:
    assert len(PLACES) > 20
    try:
        found = described(read_document(json.dumps(moved(pointer)).encode(), "openapi.json"))
    except OpenAPIError:
        return
    assert found == described(WHOLE)
