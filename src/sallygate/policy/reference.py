"""Documentation of the policy, made from its types: a reference in Markdown, a JSON Schema for editors."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sallygate.policy.fields import Section
from sallygate.policy.schema import Policy


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the policy file, for editors."""
    schema = Policy.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Sallygate policy"
    # Short spellings the loader takes before the types see them.
    upstream = schema["properties"]["upstream"]
    upstream["anyOf"] += [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    schema["properties"]["identity"]["anyOf"].append({"const": "none"})
    listen = schema["$defs"]["Listen"]["properties"]["certificate"]
    listen["anyOf"].append({"const": "development"})
    return schema


def markdown() -> str:
    """The reference: a table a section, in the order of the file."""
    lines = [
        "# Policy reference",
        "",
        "`sallygate schema --reference` writes this page from the types; a test compares. An absent field has the default",
        "shown. An unknown field, a value out of bounds or a repeated name refuses the whole file.",
        "",
    ]
    todo: list[tuple[str, type[Section]]] = [("the file", Policy)]
    done: set[type[Section]] = set()
    for path, section in todo:
        if section in done:
            continue
        done.add(section)
        lines += [f"## {path}", ""]
        if section.__doc__ and section is not Policy:
            lines += [section.__doc__.strip(), ""]
        lines += ["| field | value | default | |", "|---|---|---|---|"]
        inner: list[tuple[str, type[Section]]] = []
        for name, field in section.model_fields.items():
            lines.append(
                f"| `{name}` | {_kind(field)}{_bounds(field)} | {_default(field)} | {field.description or ''} |"
            )
            prefix = name if path == "the file" else f"{path}.{name}"
            inner += [(prefix + _keyed(field.annotation), found) for found in _sections(field.annotation)]
        lines.append("")
        todo += inner
    return "\n".join(lines)


def _sections(annotation: object) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections(part)]


def _keyed(annotation: object) -> str:
    return ".NAME" if get_origin(annotation) is dict else ""


def _kind(field: FieldInfo) -> str:
    for metadata in field.metadata:
        schema = getattr(metadata, "json_schema", None)
        if isinstance(schema, dict) and "examples" in schema:
            return f"like `{schema['examples'][0]}`"
    return _type(field.annotation)


def _bounds(field: FieldInfo) -> str:
    """The smallest and the largest number a field takes."""
    bounds = {name: value for one in field.metadata for name in ("ge", "gt", "le", "lt")
              if (value := getattr(one, name, None)) is not None}  # fmt: skip
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return "".join(f", {words[name]} {value}" for name, value in bounds.items())


def _type(annotation: object) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return f"name → {_type(args[1])}"
    if isinstance(annotation, type):
        plain = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", type(None): "nothing"}
        return "section" if issubclass(annotation, Section) else plain.get(annotation, annotation.__name__)
    if args:
        if hasattr(annotation, "__metadata__"):
            for metadata in annotation.__metadata__:
                schema = getattr(metadata, "json_schema", None)
                if isinstance(schema, dict) and "examples" in schema:
                    return f"like `{schema['examples'][0]}`"
            return _type(args[0])
        return " or ".join(_type(part) for part in args if part is not type(None))
    return "text"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**needed**"
    if value is None or value == {}:
        return "–"
    if isinstance(value, Section):
        shown = value.model_dump(exclude_defaults=False, exclude_none=True)
        return "its own" if len(shown) > 3 else f"`{shown}`".replace("'", "")
    if (text := getattr(value, "text", None)) is not None:
        return f"`{text}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
