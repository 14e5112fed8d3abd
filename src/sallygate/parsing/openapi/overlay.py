"""OpenAPI Overlay 1.0: changes of a document that stay beside it, so that a vendor's file is never edited.

Each action selects nodes by JSONPath (RFC 9535) and merges into them or removes them, one action after the other. An
action that selects nothing is an error here, although the specification lets it pass: an error of typing would have no
effect, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.match import JSONPathMatch

ACTIONS_MAX = 10_000
"""Actions of one overlay; each looks through the whole document at worst."""
_FIELDS = ("target", "description", "update", "remove")


class OverlayError(ValueError):
    """What is wrong with an overlay: every (where, message)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {message}" for where, message in problems[:10]))
        self.problems = problems


def apply_overlay(document: dict[str, Any], overlay: object) -> dict[str, Any]:
    """A document with the actions of an overlay applied; the one given is left as it is. Raises `OverlayError`."""
    # A copy in which no part is shared, as YAML's aliases are: an action changes the place that it selects alone.
    changed: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    environment = JSONPathEnvironment(strict=True)
    problems: list[tuple[str, str]] = []
    for where, action in _actions(overlay, problems):
        try:
            found = list(environment.finditer(action["target"], changed))
        except JSONPathError as error:
            problems.append((f"{where}/target", f"not a JSONPath of RFC 9535: {str(error).splitlines()[0]}"))
            continue
        if not found:
            problems.append((f"{where}/target", f"selects nothing in the document: {action['target']}"))
        elif action.get("remove") is True:
            _remove(found, where, problems)
        else:
            for match in found:
                _update(match.obj, action["update"], where, problems)
    if problems:
        raise OverlayError(problems)
    return changed


def _actions(overlay: object, problems: list[tuple[str, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(pointer, action) of each well-formed action."""
    if not isinstance(overlay, dict) or not str(overlay.get("overlay", "")).startswith("1.0."):
        problems.append(("/overlay", "not an Overlay 1.0 document; write `overlay: 1.0.0`"))
        return
    actions = overlay.get("actions")
    if not isinstance(actions, list) or not 0 < len(actions) <= ACTIONS_MAX:
        problems.append(("/actions", f"has to be a list of 1 to {ACTIONS_MAX:,} actions"))
        return
    for number, action in enumerate(actions):
        where = f"/actions/{number}"
        if not isinstance(action, dict) or not isinstance(action.get("target"), str):
            problems.append((where, "has no `target`; write a JSONPath, for example $.paths['/orders'].get"))
        elif unknown := [name for name in action if name not in _FIELDS and not str(name).startswith("x-")]:
            problems.append((where, f"`{unknown[0]}` is not a field of an action; write one of: {', '.join(_FIELDS)}"))
        elif action.get("remove") not in (None, True, False):
            problems.append((f"{where}/remove", "has to be true or false"))
        elif action.get("remove") is not True and "update" not in action:
            problems.append((where, "neither updates nor removes; write `update` or `remove: true`"))
        else:
            yield where, action


def _remove(found: list[JSONPathMatch], where: str, problems: list[tuple[str, str]]) -> None:
    """Takes the nodes out of their containers, the later elements of an array first."""
    for match in sorted(found, key=lambda one: [str(part).zfill(9) for part in one.parts], reverse=True):
        if match.parent is None:
            problems.append((f"{where}/target", "the root cannot be removed"))
            return
        container: Any = match.parent.obj
        last: Any = match.parts[-1]
        if isinstance(container, list) or last in container:
            del container[last]


def _update(node: Any, update: object, where: str, problems: list[tuple[str, str]]) -> None:
    if isinstance(node, list):
        node.append(msgspec.json.decode(msgspec.json.encode(update)))
    elif isinstance(node, dict) and isinstance(update, dict):
        _merge(node, update, f"{where}/update", problems)
    else:
        said = "selects a single value" if not isinstance(node, dict) else "selects an object, and `update` is none"
        problems.append((where, f"{said}; select the object that contains it, and write an object in `update`"))


def _merge(node: dict[str, Any], update: dict[str, Any], where: str, problems: list[tuple[str, str]]) -> None:
    for name, value in update.items():
        known = node.get(name)
        at = f"{where}/{name}"
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value, at, problems)
        elif isinstance(known, list) and isinstance(value, list):
            known += msgspec.json.decode(msgspec.json.encode(value))
        elif isinstance(known, (dict, list)):
            problems.append((at, f"is {_kind(value)}, and {_kind(known)} in the document; remove that one first"))
        else:
            node[name] = msgspec.json.decode(msgspec.json.encode(value))


def _kind(value: object) -> str:
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else "a single value"
