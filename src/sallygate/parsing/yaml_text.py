"""Reader of YAML 1.2: text to plain values, on PyYAML's scanner and composer, without its YAML 1.1 types.

PyYAML reads `off` and `NO` as false, `1_000` and `0o17` its own way, and lets the last of two equal keys win
in silence. Here only the composer is used: nodes become values by the core schema of YAML 1.2.2
(chapter 10.3), equal keys are refused, and what aliases could blow up is counted before it is built.

A plain scalar tagged `!!str` cannot be distinguished from an untagged one (the composer does not say): quote it.

It knows nothing of what the text is for, opens no file, and builds no Python object beyond dict, list and
scalars."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

NODES_MAX = 1_000_000
"""Values in one document, aliases counted each time they are followed. The largest public OpenAPI documents
have about 700,000; ten lines of nested aliases ("billion laughs") would have 10^9."""
DEPTH_MAX = 100
"""Nesting of collections. Real documents stay below 40; the composer itself recurses, a few frames a
level."""

Path = tuple[str | int, ...]

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # Any: two unrelated classes with one behaviour

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_RADIX = {"0o": (8, re.compile(r"[0-7]+")), "0x": (16, re.compile(r"[0-9a-fA-F]+"))}
_DIGITS_MAX = 308
"""Of an integer: more cannot be held by a double, and Python's own conversion is quadratic."""

_STR = "tag:yaml.org,2002:str"
_KNOWN_TAGS = frozenset({_STR, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!", "?", None, ""})


class YamlError(ValueError):
    """The text is not one YAML document that reads one way. `problems` holds every (line, message), lines
    from 1."""

    def __init__(self, message: str, line: int, problems: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.problems = problems or ((line, message),)


def read_values(text: str, source: str = "") -> object:
    """The document's value with plain scalars typed by the core schema: for OpenAPI documents."""
    return _Construction(_core_scalar, with_lines=False).run(_compose(text, source))


def read_strings(text: str, source: str = "") -> tuple[object, dict[Path, int]]:
    """The document's value with every scalar a string (null and empty are None), and each path's line, from
    1.

    For the policy file: the types are its schema's business, so that `off` and `NO` mean what they say.
    """
    construction = _Construction(_string_scalar, with_lines=True)
    value = construction.run(_compose(text, source))
    return value, construction.lines


def load_yaml(text: str, source: str = "") -> object:
    """Same as `read_values`."""
    return read_values(text, source)


def _compose(text: str, source: str) -> yaml.Node | None:
    loader = _Loader(text)
    if source:
        loader.name = source
    try:
        _refuse_deep_text(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "not YAML"
        raise YamlError(said, mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).partition("\n")[0], 1) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"nested deeper than {DEPTH_MAX} levels, or not text", 1) from None
    finally:
        loader.dispose()
    return node


def _refuse_deep_text(text: str) -> None:
    """The C composer recurses on the C stack, so a hostile depth has to be seen before it runs.

    Depth comes from flow brackets, or from indentation and from `- - -` on one line; each is bounded by a
    count that no honest document reaches."""
    depth = 0
    for line_number, line in enumerate(text.split("\n"), 1):
        opened = line.count("[") + line.count("{")
        if opened > _BRACKETS_MAX:
            opened = _deepest(line)
        highest = depth + opened
        depth = max(0, highest - line.count("]") - line.count("}"))
        compact = len(_COMPACT.match(line).group()) if line[:1] in " -?" else 0  # type: ignore[union-attr]
        if highest > _BRACKETS_MAX or compact > _INDENT_MAX:
            raise YamlError(f"nested deeper than {DEPTH_MAX} levels", line_number)


def _deepest(line: str) -> int:
    depth = highest = 0
    for bracket in re.findall(r"[\[\]{}]", line):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        highest = max(highest, depth)
    return highest


_COMPACT = re.compile(r"[ \-?]*")
_BRACKETS_MAX = 2_000
"""Brackets open at once, those in strings included; the composer's C stack holds about 20,000 levels."""
_INDENT_MAX = 4_000
"""Columns of indentation, as much as 2,000 levels."""


class _Construction:
    """Nodes to values, depth and number bounded; every duplicate key is collected before any is reported."""

    def __init__(self, scalar: Callable[[yaml.ScalarNode], object], with_lines: bool) -> None:
        self._scalar = scalar
        self._with_lines = with_lines
        self._nodes = 0
        self.lines: dict[Path, int] = {}
        self.problems: list[tuple[int, str]] = []

    def run(self, node: yaml.Node | None) -> object:
        """Plain value of a document. Raises `YamlError` with the first problem's line."""
        value = None if node is None else self._value(node, (), 0)
        if self.problems:
            self.problems.sort()
            line, message = self.problems[0]
            raise YamlError(message, line, tuple(self.problems))
        return value

    def _value(self, node: yaml.Node, path: Path, depth: int) -> object:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise YamlError(f"more than {NODES_MAX} values once aliases are followed", _line(node))
        if depth > DEPTH_MAX:
            raise YamlError(f"nested deeper than {DEPTH_MAX} levels, or an alias inside itself", _line(node))
        if self._with_lines:
            self.lines.setdefault(path, _line(node))
        if node.tag not in _KNOWN_TAGS:
            self.problems.append((_line(node), f"tag {node.tag} is not read here"))
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._typed(node)
        if isinstance(node, yaml.SequenceNode):
            below = depth + 1
            return [self._value(item, (*path, at), below) for at, item in enumerate(node.value)]
        return dict(self._members(node, path, depth + 1))

    def _typed(self, node: yaml.ScalarNode) -> object:
        try:
            return self._scalar(node)
        except ValueError as error:
            self.problems.append((_line(node), str(error)))
            return None

    def _members(self, node: yaml.Node, path: Path, depth: int) -> Iterator[tuple[str, object]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append((line, "a key has to be a single word, not a list or a mapping"))
                continue
            key = key_node.value
            if key in seen:
                self.problems.append((line, f"key {key!r} is already given on line {seen[key]}"))
                continue
            seen[key] = line
            if key == "<<" and not key_node.style:
                self.problems.append((line, "merge keys (<<) are YAML 1.1; write the keys out"))
                continue
            below = (*path, key) if self._with_lines else path
            if self._with_lines:
                self.lines[below] = line
            yield key, self._value(value_node, below, depth)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _string_scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    return None if not node.style and text in _NULL else text


def _core_scalar(node: yaml.ScalarNode) -> object:
    """YAML 1.2.2, chapter 10.3.2; a quoted or block scalar is a string whatever it says."""
    text: str = node.value
    if node.style:
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] in "+-.0123456789":
        return _core_number(text)
    return text


def _core_number(text: str) -> object:
    if _INTEGER.fullmatch(text):
        if len(text) > _DIGITS_MAX:
            raise ValueError(f"an integer of more than {_DIGITS_MAX} digits")
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    base, digits = _RADIX.get(text[:2], (0, None))
    if digits is not None and len(text) < _DIGITS_MAX and digits.fullmatch(text, 2):
        return int(text[2:], base)
    return text
