"""Public view of the specification for unknown clients: nothing internal, no extensions, no servers, nothing unused.

It rewrites a document and judges nothing. Which names are extensions depends on where they stand: `x-` begins
an extension in most objects, but a property, header or schema may be called `x-anything`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sallygate.parsing.openapi.members import DATA, FREE_NAMES
from sallygate.parsing.pointers import escape_pointer, resolve_pointer

Document = dict[str, Any]
"""A document as parsed: Any, because its shape is only known where it has been checked."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def public_view(document: Document, hidden: Collection[tuple[str, str]] = ()) -> Document:
    """A copy of `document` without operations marked `x-internal: true` or `hidden` (method in lower case, path),
    without `x-` members and servers, and with only the components that what is left refers to."""
    paths = document.get("paths")
    kept = dict(_public_items(paths if isinstance(paths, dict) else {}, hidden))
    view: Document = {
        name: _stripped(value, name)
        for name, value in document.items()
        if name not in ("paths", "servers", "components", "webhooks") and not name.startswith("x-")
    }
    view["paths"] = {name: _stripped(item, "") for name, item in kept.items()}
    components = _used_components(document, view)
    if components:
        view["components"] = components
    return view


def _public_items(paths: Mapping[str, Any], hidden: Collection[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for path, item in paths.items():
        if not path.startswith("/") or not isinstance(item, dict) or item.get("x-internal") is True:
            continue
        left = {name: value for name, value in _public_item(item).items() if (name, path) not in hidden}
        if "$ref" in left or any(method in left for method in METHODS):
            yield path, left


def _public_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in item.items()
        if not (name in METHODS and isinstance(value, dict) and value.get("x-internal") is True)
    }


def _stripped(value: Any, owner: str) -> Any:
    """`value` without extensions and servers; `owner` is the member it stands under."""
    if isinstance(value, list):
        return [_stripped(item, "") for item in value]
    if not isinstance(value, dict):
        return value
    if owner in FREE_NAMES:
        return {name: _stripped(inner, "") for name, inner in value.items()}
    return {
        name: inner if name in DATA else _stripped(inner, name)
        for name, inner in value.items()
        if not name.startswith("x-") and name != "servers"
    }


def _used_components(document: Document, view: Document) -> dict[str, dict[str, Any]]:
    """The components reachable from the paths, by reference, by discriminator, and by security scheme
    name."""
    components: dict[str, dict[str, Any]] = {}
    waiting = list(_references(view))
    seen: set[str] = set()
    while waiting:
        reference = waiting.pop()
        parts = reference.split("/")
        if len(parts) < 4 or parts[:2] != ["#", "components"]:
            continue
        pointer = "/".join(parts[1:4])
        if pointer in seen:
            continue
        seen.add(pointer)
        try:
            found = resolve_pointer(document, "/" + pointer)
        except (LookupError, ValueError):
            continue
        if parts[2] == "pathItems" and isinstance(found, dict):
            found = _public_item(found)
        clean = _stripped(found, "")
        name = parts[3].replace("~1", "/").replace("~0", "~")
        components.setdefault(parts[2], {})[name] = clean
        waiting.extend(_references(clean))
    return components


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                yield reference
            mapping = node.get("mapping")
            if isinstance(mapping, dict):
                for target in mapping.values():
                    yield str(target) if "/" in str(target) else f"#/components/schemas/{target}"
            security = node.get("security")
            if isinstance(security, list):
                for entry in security:
                    for scheme in entry if isinstance(entry, dict) else ():
                        yield "#/components/securitySchemes/" + escape_pointer(str(scheme))
            waiting.extend(node.values())
