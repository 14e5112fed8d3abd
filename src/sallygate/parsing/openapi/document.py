"""Reader of OpenAPI 3.0 and 3.1: bytes to a document, a document to its operations.

It follows local references, merges what a path gives its operations, and settles every default, so that
nobody else has to know the specification's layout. Schemas stay as written: compiling them is the contract's
business. It fetches nothing: files beside the document are read by the caller."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, cast

from msgspec.structs import replace

from sallygate.model.operation import MediaType, Operation, Parameter, Schema
from sallygate.parsing.json_text import JsonError, parse_json
from sallygate.parsing.openapi.bundling import Bundler
from sallygate.parsing.openapi.public_view import METHODS, Document, public_view
from sallygate.parsing.openapi.routes import SegmentTemplate
from sallygate.parsing.openapi.servers import base_paths
from sallygate.parsing.pointers import escape_pointer, resolve_pointer
from sallygate.parsing.yaml_text import YamlError, read_values

__all__ = [
    "Document",
    "OpenAPIError",
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
_EXPRESSION = re.compile(r"\{[^{}]*\}")
_HEADERS_OF_THE_MESSAGE = frozenset({"accept", "content-type", "authorization"})
"""Declared as parameters they are ignored (OpenAPI 3.1.1, section 4.8.12.2.1)."""


class OpenAPIError(ValueError):
    """What is wrong with a document: every (where, message), where being a JSON pointer or `name:line`."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{where}: {message}" for where, message in problems[:10]))
        self.problems = problems


def read_document(
    data: bytes, name: str, read: Callable[[str], bytes] | None = None, overlay: tuple[bytes, str] | None = None
) -> Document:
    """The document in `data`, JSON or YAML. Raises `OpenAPIError`, with `name` in front of what is wrong.

    `overlay` is a document of changes (OpenAPI Overlay 1.0) and its name. `read` gives the bytes of a
    file by its path relative to the document's directory; it raises `OSError` or `ValueError` for one that cannot be
    read."""
    document = _read_value(data, name)
    if not isinstance(document, dict):
        raise OpenAPIError(((name, "not an OpenAPI document: its root is not an object"),))
    version = document.get("openapi")
    if "swagger" in document:
        raise OpenAPIError(((name, "Swagger 2.0 is not read; convert it to OpenAPI 3 (swagger2openapi does)"),))
    if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
        raise OpenAPIError(((name, "`openapi` has to be a version 3.0.x or 3.1.x"),))
    if overlay is not None:
        document = _overlaid(document, *overlay)
    bundler = Bundler(lambda path: _read_beside(read, path))
    bundled = bundler.bundle(document)
    if bundler.problems:
        raise OpenAPIError(tuple(bundler.problems))
    return bundled


def _overlaid(document: Document, data: bytes, name: str) -> Document:
    from sallygate.parsing.openapi.overlay import OverlayError, apply_overlay  # loads JSONPath, which few need

    try:
        return apply_overlay(document, _read_value(data, name))
    except OverlayError as error:
        raise OpenAPIError(tuple((f"{name}{where}", message) for where, message in error.problems)) from None


def _read_value(data: bytes, name: str) -> object:
    if not data[:64].lstrip().startswith(b"{"):
        return _read_yaml(data, name)
    try:
        return parse_json(data, DOCUMENT_DEPTH_MAX)
    except JsonError as error:
        raise OpenAPIError(((name, error.detail),)) from None


def _read_beside(read: Callable[[str], bytes] | None, path: str) -> object:
    if read is None:
        raise ValueError("it leaves the document; bundle it into one file first")
    return _read_value(read(path), path)


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


def read_operations(document: Document, notes: list[str] | None = None) -> tuple[Operation, ...]:
    """Every operation under `paths`, in the document's order. Raises `OpenAPIError` with everything wrong at
    once; `notes` takes what people should know of a document that is read all the same."""
    reader = _Reader(document)
    operations: dict[str, Operation] = {}
    for operation in reader.operations():
        where = f"{operation.method} {operation.path}"
        if (first := operations.get(operation.id)) is not None:
            said = f"operationId {operation.id} is used by {first.method} {first.path} and by {where}"
            operation = replace(operation, id=where)
            if notes is not None:
                notes.append(f"{said}; in the policy the second is `{where}`")
            if where in operations:
                reader.problem("/paths", said)
        operations[operation.id] = operation
    if reader.problems:
        raise OpenAPIError(tuple(reader.problems))
    if notes is not None:
        notes += _unreachable(operations.values())
    return tuple(operations.values())


def _unreachable(operations: Iterable[Operation]) -> Iterator[str]:
    """What another path, which differs in the names of its expressions only, hides."""
    first: dict[tuple[str, str], str] = {}
    for operation in operations:
        alike = (operation.method, _EXPRESSION.sub("{}", operation.path))
        if (hides := first.setdefault(alike, operation.path)) != operation.path:
            yield f"{operation.method} {operation.path} is never reached: {hides} is the same path"


class _Reader:
    """One pass over `paths`; problems are collected, and what has one is left out of the result."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[tuple[str, str]] = []
        paths = document.get("paths")
        self._paths: dict[str, Any] = paths if isinstance(paths, dict) else {}
        self._names = _document_wide_names(self._paths)

    def problem(self, where: str, message: str) -> None:
        """Record a problem at a JSON pointer `where` of the document."""
        self.problems.append((where, message))

    def operations(self) -> Iterator[Operation]:
        """Operations of the document; problems are recorded on the way."""
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
                if method in value and (operation := self.follow(value[method], f"{at}/{method}")) is not None:
                    yield self._operation(method, path, value, at, *operation)

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

    def _operation(
        self, method: str, path: str, item: dict[str, Any], item_pointer: str, value: dict[str, Any], pointer: str
    ) -> Operation:
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
            base_paths=self._base_paths((value, pointer), (item, item_pointer), (self._document, "")),
        )

    def _base_paths(self, *owners: tuple[Mapping[str, Any], str]) -> tuple[str, ...]:
        """Of the operation's own servers, of its path's, or of the document's."""
        owner, pointer = next(((owner, at) for owner, at in owners if "servers" in owner), owners[-1])
        found = base_paths(owner.get("servers"))
        if found is None:
            self.problem(f"{pointer}/servers", "servers is a list of objects")
        return found or ("",)

    def _security(self, value: dict[str, Any], pointer: str) -> tuple[Mapping[str, tuple[str, ...]], ...] | None:
        listed = value.get("security", self._document.get("security"))
        if listed is None:
            return None
        if not isinstance(listed, list) or not all(_is_requirement(entry) for entry in listed):
            self.problem(f"{pointer}/security", "security is a list of objects, each of schemes with their scopes")
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
        if content is not None:
            if not isinstance(content, dict) or len(content) != 1 or "$ref" in content:
                self.problem(f"{pointer}/content", "a parameter's content is one media type")
                return None
            media, inner = next(iter(content.items()))
            found = self.follow(inner, f"{pointer}/content/{escape_pointer(media)}")
            if found is None:
                return None
            style, explode = "content", False
            schema, at = _schema_of(found[0]), f"{found[1]}/schema"
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
        if not isinstance(content, dict) or "$ref" in content:
            self.problem(at, "a request body needs `content`, media types by their names")
            return (), False
        types: dict[str, MediaType] = {}
        for name, inner in content.items():
            if (media := self._media_type(str(name), inner, f"{at}/content/{escape_pointer(str(name))}")) is not None:
                types.setdefault(media.name, media)
        return tuple(types.values()), body.get("required") is True

    def _media_type(self, name: str, value: object, pointer: str) -> MediaType | None:
        found = self.follow(value if value is not None else {}, pointer)
        if found is None:
            return None
        inner, at = found
        schema, encodings = inner.get("schema"), inner.get("encoding") or {}
        if schema is not None and not isinstance(schema, dict | bool):
            self.problem(f"{at}/schema", "a schema is an object")
            return None
        if not isinstance(encodings, dict) or "$ref" in encodings:
            self.problem(f"{at}/encoding", "encodings are objects by the names of fields")
            return None
        encoding = {}
        for field, one in encodings.items():
            if (followed := self.follow(one, f"{at}/encoding/{escape_pointer(str(field))}")) is not None:
                encoding[str(field)] = followed[0]
        plain = name.partition(";")[0].strip().lower()
        return MediaType(name=plain, schema=schema, pointer=f"{at}/schema", encoding=encoding)


def _is_requirement(entry: object) -> bool:
    """Whether it names schemes with their scopes; a reference does not."""
    return isinstance(entry, dict) and all(scopes is None or isinstance(scopes, list) for scopes in entry.values())


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
