"""OpenAPI 3.0 and 3.1 documents: bytes to a document, a document to its operations.

It follows local references, merges what a path gives its operations, and settles every default, so that
nobody else has to know the specification's layout. Schemas stay as written: compiling them is the contract's
business. It fetches nothing: a reference to another file is an error that says to bundle the document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from sallygate.model.operation import MediaType, Operation, Parameter, Schema
from sallygate.parsing.json_text import JsonError, parse_json
from sallygate.parsing.openapi.public_view import METHODS, Document, public_view
from sallygate.parsing.openapi.routes import SegmentTemplate
from sallygate.parsing.pointers import escape_pointer, resolve_pointer
from sallygate.parsing.yaml_text import YamlError, read_values

__all__ = [
    "Document",
    "OpenAPIError",
    "base_path",
    "is_version_3_0",
    "public_view",
    "read_document",
    "read_operations",
]

DOCUMENT_DEPTH_MAX = 200
"""Nesting of a JSON document: generated ones inline schemas 60 levels deep."""
REFERENCES_MAX = 32
"""References followed in a row before they are called a circle; honest chains have two or three."""

_STYLES: Mapping[str, tuple[str, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_HEADERS_OF_THE_MESSAGE = frozenset({"accept", "content-type", "authorization"})
"""Declared as parameters they are ignored (OpenAPI 3.1.1, section 4.8.12.2.1)."""


class OpenAPIError(ValueError):
    """What is wrong with a document: every (where, message), where being a JSON pointer or `name:line`."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{where}: {message}" for where, message in problems[:10]))
        self.problems = problems


def read_document(data: bytes, name: str) -> Document:
    """The document in `data`, JSON or YAML. Raises `OpenAPIError`, with `name` in front of what is wrong."""
    if data[:64].lstrip().startswith(b"{"):
        try:
            document = parse_json(data, DOCUMENT_DEPTH_MAX)
        except JsonError as error:
            raise OpenAPIError(((name, error.detail),)) from None
    else:
        document = _read_yaml(data, name)
    if not isinstance(document, dict):
        raise OpenAPIError(((name, "not an OpenAPI document: its root is not an object"),))
    version = document.get("openapi")
    if "swagger" in document:
        raise OpenAPIError(((name, "Swagger 2.0 is not read; convert it to OpenAPI 3 (swagger2openapi does)"),))
    if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
        raise OpenAPIError(((name, "`openapi` has to be a version 3.0.x or 3.1.x"),))
    return document


def _read_yaml(data: bytes, name: str) -> object:
    try:
        return read_values(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise OpenAPIError(((name, "not UTF-8"),)) from None
    except YamlError as error:
        raise OpenAPIError(tuple((f"{name}:{line}", message) for line, message in error.problems)) from None


def is_version_3_0(document: Mapping[str, Any]) -> bool:
    """Whether schemas are written in the dialect of 3.0 (nullable, boolean exclusiveMinimum, lone $ref)."""
    return str(document.get("openapi", "")).startswith("3.0.")


def base_path(document: Mapping[str, Any]) -> str:
    """The path in front of every path: that of the first server, variables at their defaults; `""` for the
    root."""
    servers = document.get("servers") or [{}]
    server = servers[0] if isinstance(servers, list) and isinstance(servers[0], dict) else {}
    url = str(server.get("url", ""))
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict):
            url = url.replace("{" + name + "}", str(variable.get("default", "")))
    path = urlsplit(url).path.rstrip("/")
    return path if not path or path.startswith("/") else "/" + path


def read_operations(document: Document) -> tuple[Operation, ...]:
    """Every operation under `paths`, in the document's order. Raises `OpenAPIError` with everything wrong at
    once."""
    reader = _Reader(document)
    operations = tuple(reader.operations())
    ids: dict[str, str] = {}
    for operation in operations:
        where = f"{operation.method} {operation.path}"
        if operation.id in ids:
            reader.problem("/paths", f"operationId {operation.id} is used by {ids[operation.id]} and by {where}")
        ids[operation.id] = where
    if reader.problems:
        raise OpenAPIError(tuple(reader.problems))
    return operations


class _Reader:
    """One pass over `paths`; problems are collected, and what has one is left out of the result."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[tuple[str, str]] = []
        paths = document.get("paths")
        self._paths: dict[str, Any] = paths if isinstance(paths, dict) else {}
        self._names = _document_wide_names(self._paths)

    def problem(self, where: str, message: str) -> None:
        self.problems.append((where, message))

    def operations(self) -> Iterator[Operation]:
        for path, item in self._paths.items():
            if not path.startswith("/"):
                if not path.startswith("x-"):
                    self.problem("/paths", f"path {path!r} does not begin with a slash")
                continue
            pointer = "/paths/" + escape_pointer(path)
            found = self.follow(item, pointer)
            if found is None or not self._template_is_sound(path, pointer):
                continue
            value, at = found
            for method in METHODS:
                if isinstance(value.get(method), dict):
                    yield self._operation(method, path, value, at)

    def follow(self, value: object, pointer: str) -> tuple[dict[str, Any], str] | None:
        """`value` with references followed, and where it was found; None, with a problem noted, when it is
        nowhere."""
        start = pointer
        for _ in range(REFERENCES_MAX):
            if not isinstance(value, dict):
                self.problem(pointer, "an object is expected here")
                return None
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value, pointer
            if not reference.startswith("#/"):
                self.problem(start, f"$ref {reference!r} leaves the document; bundle it into one file first")
                return None
            pointer = reference[1:]
            try:
                value = resolve_pointer(self._document, pointer)
            except (LookupError, ValueError):
                self.problem(start, f"$ref {reference!r} leads nowhere")
                return None
        self.problem(start, "$ref leads in a circle")
        return None

    def _template_is_sound(self, path: str, pointer: str) -> bool:
        names: list[str] = []
        for segment in path.split("/"):
            if "{" in segment or "}" in segment:
                try:
                    names.extend(SegmentTemplate(segment).names)
                except ValueError as error:
                    self.problem(pointer, str(error))
                    return False
        if len(set(names)) < len(names):
            self.problem(pointer, "the same expression stands twice in the path")
            return False
        return True

    def _operation(self, method: str, path: str, item: dict[str, Any], item_pointer: str) -> Operation:
        value = item[method]
        pointer = f"{item_pointer}/{method}"
        resource, own_names = _names_of_path(path)
        body, required = self._body(value.get("requestBody"), f"{pointer}/requestBody")
        declared = value.get("operationId")
        return Operation(
            id=declared if isinstance(declared, str) and declared else f"{method.upper()} {path}",
            method=method.upper(),
            path=path,
            security=self._security(value, pointer),
            parameters=self._parameters(path, item, item_pointer, value, pointer),
            body=body,
            body_required=required,
            internal=value.get("x-internal") is True or item.get("x-internal") is True,
            resource=resource,
            object_names={**self._names, "id": resource, **own_names} if resource else {**self._names, **own_names},
        )

    def _security(self, value: dict[str, Any], pointer: str) -> tuple[Mapping[str, tuple[str, ...]], ...] | None:
        listed = value.get("security", self._document.get("security"))
        if listed is None:
            return None
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            self.problem(f"{pointer}/security", "security is a list of objects")
            return None
        return tuple(
            {str(scheme): tuple(map(str, scopes or ())) for scheme, scopes in entry.items()} for entry in listed
        )

    def _parameters(
        self, path: str, item: dict[str, Any], item_pointer: str, value: dict[str, Any], pointer: str
    ) -> tuple[Parameter, ...]:
        """Path-level parameters, each replaced by the operation's own of the same name and place."""
        merged: dict[tuple[str, str], Parameter] = {}
        for owner, owner_pointer in ((item, item_pointer), (value, pointer)):
            listed = owner.get("parameters") or []
            if not isinstance(listed, list):
                self.problem(f"{owner_pointer}/parameters", "parameters is a list")
                continue
            for at, entry in enumerate(listed):
                found = self.follow(entry, f"{owner_pointer}/parameters/{at}")
                parameter = found and self._parameter(*found)
                if parameter:
                    merged[
                        parameter.place,
                        parameter.name.lower() if parameter.place == "header" else parameter.name,
                    ] = parameter
        _, names = _names_of_path(path)
        in_template = set(names)
        for place, name in list(merged):
            if place == "path" and name not in in_template:
                del merged[place, name]  # nothing can carry it; several public documents have such leftovers
        for name in sorted(in_template - {name for place, name in merged if place == "path"}):
            merged["path", name] = Parameter(name, "path", True, "simple", False, {"type": "string"}, pointer)
        return tuple(merged.values())

    def _parameter(self, value: dict[str, Any], pointer: str) -> Parameter | None:
        name, place = value.get("name"), value.get("in")
        if not isinstance(name, str) or not name or not isinstance(place, str) or place not in _STYLES:
            self.problem(pointer, "a parameter needs a name, and `in` one of path, query, header, cookie")
            return None
        if place == "header" and name.lower() in _HEADERS_OF_THE_MESSAGE:
            return None
        schema: Schema
        content = value.get("content")
        if isinstance(content, dict) and len(content) == 1:
            media, inner = next(iter(content.items()))
            style, explode = "content", False
            schema = _schema_of(inner)
            at = f"{pointer}/content/{escape_pointer(media)}/schema"
            if not _is_json(media):
                schema = {"type": "string"} if schema == {} else schema
                style = _STYLES[place][0]
        else:
            style = str(value.get("style") or _STYLES[place][0])
            explode = value.get("explode", style in ("form", "deepObject")) is True
            schema, at = _schema_of(value), f"{pointer}/schema"
            if style not in _STYLES[place]:
                self.problem(pointer, f"style {style!r} is not for parameters in {place}")
                return None
        return Parameter(
            name=name,
            place=cast(Literal["path", "query", "header", "cookie"], place),
            required=place == "path" or value.get("required") is True,
            style=style,
            explode=explode,
            schema=schema,
            pointer=at,
            allow_empty=value.get("allowEmptyValue") is True,
        )

    def _body(self, value: object, pointer: str) -> tuple[tuple[MediaType, ...], bool]:
        found = self.follow(value, pointer) if value is not None else None
        if found is None:
            return (), False
        body, at = found
        content = body.get("content")
        if not isinstance(content, dict):
            self.problem(at, "a request body needs `content`")
            return (), False
        types: dict[str, MediaType] = {}
        for name, inner in content.items():
            inner = inner if isinstance(inner, dict) else {}
            plain = str(name).partition(";")[0].strip().lower()
            encoding = inner.get("encoding")
            schema = inner.get("schema")
            types.setdefault(
                plain,
                MediaType(
                    name=plain,
                    schema=schema if isinstance(schema, dict | bool) else None,
                    pointer=f"{at}/content/{escape_pointer(str(name))}/schema",
                    encoding=encoding if isinstance(encoding, dict) else {},
                ),
            )
        return tuple(types.values()), body.get("required") is True


def _schema_of(holder: object) -> Schema:
    schema = holder.get("schema") if isinstance(holder, dict) else None
    return schema if isinstance(schema, dict | bool) else {}


def _is_json(media: str) -> bool:
    plain = media.partition(";")[0].strip().lower()
    return plain.endswith(("/json", "+json"))


def _names_of_path(path: str) -> tuple[str, dict[str, str]]:
    """The collection a path belongs to (its last fixed segment), and each expression's (the fixed one before
    it)."""
    collection = ""
    names: dict[str, str] = {}
    for segment in path.split("/")[1:]:
        if "{" not in segment:
            collection = segment or collection
            continue
        try:
            for name in SegmentTemplate(segment).names:
                names[name] = collection
        except ValueError:
            continue  # reported by the reader
    return collection, names


def _document_wide_names(paths: Mapping[str, Any]) -> dict[str, str]:
    """Expressions that mean one collection wherever they stand; `id` and its like mean a different one each
    time."""
    collections: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        for name, collection in _names_of_path(path)[1].items():
            collections[name].add(collection)
    return {name: next(iter(found)) for name, found in collections.items() if len(found) == 1 and "" not in found}
