"""Keywords of a document that a value broke, as JSONPath targets of an overlay: found from the place and the rule.

It walks the document as its author wrote it, through references and compositions, and gives nothing where it is not
sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sallygate.model.operation import Operation
from sallygate.offline.tuning.proposals import Seen
from sallygate.parsing.openapi.composition import IN_PLACE, Node, through
from sallygate.parsing.pointers import escape_pointer, unescape_pointer

REMOVABLE = frozenset(
    "type enum const pattern format minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems"
    " maxItems uniqueItems minProperties maxProperties multipleOf".split()
)
"""Keywords that an overlay removes one by one."""
_LACKS = re.compile(r"lacks (\S+)$").search


def targets_of(one: Seen, operation: Operation, document: Mapping[str, object]) -> list[str]:
    """JSONPath of each keyword that the finding is of; empty where there is none, or a setting is the better cure."""
    place, _, pointer = one.where.partition(":")
    if one.code == "contract.body" and place == "body":
        starts = [(media.schema, media.pointer) for media in operation.body]
        steps = [unescape_pointer(step) for step in pointer.strip("/").split("/") if step]
    elif one.code == "contract.parameter":
        starts = [
            (one_.schema, one_.pointer) for one_ in operation.parameters if (one_.place, one_.name) == (place, pointer)
        ]
        steps = []
    else:
        return []
    nodes = [(schema, at) for schema, at in starts if isinstance(schema, dict)]
    for step in steps:
        nodes = [found for node in through(nodes, document) for found in _below(node, step)]
    found = []
    for schema, at in through(nodes, document):
        if one.rule == "required" and (name := _LACKS(one.detail)) and name[1] in (schema.get("required") or ()):
            found.append(f"{_jsonpath(at)}['required'][?@ == '{_quoted(name[1])}']")
        elif one.rule in REMOVABLE and one.rule in schema:
            found.append(f"{_jsonpath(at)}['{one.rule}']")
    return list(dict.fromkeys(found))


def _below(node: Node, step: str) -> Iterator[Node]:
    """Schemas of a member or an element."""
    schema, at = node
    if isinstance(properties := schema.get("properties"), dict) and step in properties:
        yield properties[step], f"{at}/properties/{escape_pointer(step)}"
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"], f"{at}/additionalProperties"
    if step.isdigit() and isinstance(schema.get("items"), dict):
        yield schema["items"], f"{at}/items"


def _jsonpath(pointer: str) -> str:
    steps = [unescape_pointer(step) for step in pointer.split("/")[1:]]
    return "$" + "".join(f"[{step}]" if step.isdigit() and _in_list(steps, at) else f"['{_quoted(step)}']"
                         for at, step in enumerate(steps))  # fmt: skip


def _in_list(steps: list[str], at: int) -> bool:
    """Whether the step counts an element: of a composition, or of parameters."""
    return at > 0 and steps[at - 1] in (*IN_PLACE, "parameters", "prefixItems")


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'")
