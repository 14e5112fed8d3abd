"""Compiled schemas: validate a value and return findings.

It decides which engine a pattern runs on, what is compiled, and how much of an error is worth looking for. It
does not know operations or where a value came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from sallygate.controls.contract.dialect import URI, Dialect, Written
from sallygate.controls.contract.said import say
from sallygate.model.finding import Finding

LINEAR = jsonschema_rs.RegexOptions(size_limit=10 * 1024 * 1024)
"""Patterns without backtracking: time is linear in the value. The size is the engine's own default, of one
compiled pattern; `^.{1,65535}$` fits."""
BACKTRACKING = jsonschema_rs.FancyRegexOptions(backtrack_limit=20_000, size_limit=10 * 1024 * 1024)
"""For look-around and back-references. 20,000 steps are about half a millisecond, and enough for any pattern
that is not being attacked; a value that exhausts them is refused."""

ALL_ERRORS_NODES = 200
"""Up to this many values every error is gathered: jsonschema-rs builds them all before it gives the first, 14
µs each."""
THIN_NODES = 150
"""Values of a larger body that are looked at for every error, the first of each array and object."""
THIN_FEW = 4
"""Elements of an array, or members of a map, that stand for the others; objects of a few more members stay whole."""
_OF_LENGTH = frozenset(("minItems", "minContains", "contains", "uniqueItems", "minProperties", "required"))
"""What a thinned value breaks although the whole does not."""
ONE_ERROR_NODES = 1000
"""Above it the place is not looked for where alternatives are involved: for those all inner errors are built
as well."""
WHERE_MAX = 200
"""Characters of `where`: a pointer holds names the client chose."""


class Validator:
    """One compiled schema."""

    __slots__ = ("_alternatives", "_compiled", "is_valid")

    def __init__(self, compiled: jsonschema_rs.Validator, alternatives: bool) -> None:
        self._compiled = compiled
        self._alternatives = alternatives
        self.is_valid = compiled.is_valid

    def errors(self, value: object, nodes: int) -> Iterator[tuple[str, str, str]]:
        """(JSON pointer, keyword, detail) of what is wrong with an invalid `value` of at most `nodes`
        values."""
        if nodes <= ALL_ERRORS_NODES:
            yield from say(list(self._compiled.iter_errors(value)))
            return
        thin = thinned(value, THIN_NODES)
        errors = [error for error in self._compiled.iter_errors(thin) if error.kind.name not in _OF_LENGTH]
        if errors:
            yield from say(errors)
        elif nodes > ONE_ERROR_NODES and self._alternatives:
            yield "", "schema", "does not fit its schema, and is too large to say where"
        else:
            yield from say(self._first(value))

    def _first(self, value: object) -> list[jsonschema_rs.ValidationError]:
        try:
            self._compiled.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []


def body_finding(pointer: str, keyword: str, detail: str) -> Finding:
    """What a body broke, as a 422 (RFC 9110, section 15.5.21: well-formed, and not what is asked for)."""
    where = ("body:" + (pointer or "/"))[:WHERE_MAX]
    owasp = "API3" if keyword in ("additionalProperties", "readOnly") else "API8"
    return Finding(
        "contract.body",
        f"{pointer or 'the body'} {detail}"[:WHERE_MAX],
        422,
        where=where,
        rule=keyword,
        owasp=owasp,
    )


def thinned(value: object, nodes_max: int) -> object:
    """A value with the first elements of its arrays and the first members of its large objects, of about `nodes_max`
    values: what is wrong with many elements alike is wrong with the first of them."""
    left = nodes_max

    def thin(node: object) -> object:
        nonlocal left
        left -= 1
        if type(node) is dict:
            few = islice(node.items(), max(THIN_FEW, left // 2) if left > 0 else 1)
            return {name: thin(child) for name, child in few}
        if type(node) is list:
            return [thin(child) for child in node[: THIN_FEW if left > 0 else 1]]
        return node

    return thin(value)


class Compiler:
    """Compiles what is asked for, after everything has been asked for: definitions are shared in one
    registry."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._linear: dict[str, bool] = {}
        self._registry: jsonschema_rs.Registry | None = None
        self._known: dict[bytes, Validator] = {}
        self.problems: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def seal(self) -> None:
        """Ends the rewriting. Checks every pattern once; what backtracks is noted, what is no pattern is a
        problem."""
        for pattern, pointer in self._dialect.patterns.items():
            self._linear[pattern] = _compiles(pattern, LINEAR)
            if not self._linear[pattern]:
                if _compiles(pattern, BACKTRACKING):
                    self.notes.append(f"{pointer}: the pattern needs backtracking, which is bounded: {pattern[:200]}")
                else:
                    self.problems.append((pointer, f"not a pattern: {pattern[:200]}"))
        for name in circular(self._dialect.definitions):
            self.problems.append((self._dialect.pointers[name], "the schema leads to itself without a part in between"))
        if not self.problems:
            self._registry = jsonschema_rs.Registry(
                [(URI, {"$defs": self._dialect.definitions})], draft=jsonschema_rs.Draft202012
            )

    def compile(self, schema: Written, pointer: str) -> Validator | None:
        """A validator of a rewritten schema, or None with the problem noted. Equal schemas share one."""
        if self._registry is None:
            return None
        key = msgspec.json.encode(schema)
        known = self._known.get(key) or self._validator(schema, pointer)
        if known is not None:
            self._known[key] = known
        return known

    def _validator(self, schema: Written, pointer: str) -> Validator | None:
        reached = self._reached(schema)
        patterns = {found for node in reached for found in _patterns(node)}
        options = LINEAR if all(self._linear.get(pattern, True) for pattern in patterns) else BACKTRACKING
        try:
            compiled = self._compiled(schema, options)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            self._blame(schema, pointer, error)
            return None
        return Validator(compiled, any("anyOf" in node or "oneOf" in node for node in reached))

    def _compiled(self, schema: Written, options: Any) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator(
            schema, registry=self._registry, pattern_options=options, validate_formats=True, offline=True
        )

    def _reached(self, schema: Written) -> list[dict[str, Any]]:
        """Every schema within `schema`, definitions it leads to included."""
        nodes: list[dict[str, Any]] = []
        seen: set[str] = set()
        waiting: list[object] = [schema]
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting.extend(node)
            elif isinstance(node, dict):
                nodes.append(node)
                reference = node.get("$ref")
                if isinstance(reference, str) and reference not in seen:
                    seen.add(reference)
                    waiting.append(self._dialect.definitions.get(reference.rpartition("/")[2]))
                waiting.extend(value for name, value in node.items() if name != "enum" or isinstance(value, dict))
        return nodes

    def _blame(self, schema: Written, pointer: str, error: Exception) -> None:
        """Finds which of the schema and the definitions is to blame by itself; the schema when none is."""
        blamed = False
        definitions = self._dialect.definitions
        for inner, at in (
            (schema, pointer),
            *((definitions[name], at) for name, at in self._dialect.pointers.items()),
        ):
            try:
                jsonschema_rs.meta.validate(_plain(inner))
            except (jsonschema_rs.ValidationError, ValueError) as found:
                blamed = True
                self._problem(at, found)
        if not blamed:
            self._problem(pointer, error)

    def _problem(self, pointer: str, error: Exception) -> None:
        path = error.instance_path if isinstance(error, jsonschema_rs.ValidationError) else []
        said = str(error).partition("\n")[0][:200]
        problem = (pointer + "".join(f"/{part}" for part in path), f"not a JSON Schema: {said}")
        if problem not in self.problems:
            self.problems.append(problem)


def circular(definitions: Mapping[str, Written]) -> list[str]:
    """Definitions that meet the same value again by way of themselves: validating such a schema would never end."""
    edges = {name: _in_place(definition) for name, definition in definitions.items()}
    while True:  # whatever leads nowhere is taken away, until only circles and what leads into them are left
        ends = {name for name, onward in edges.items() if not onward & edges.keys()}
        if not ends:
            return [name for name in edges if _reaches(edges, name)]
        for name in ends:
            del edges[name]


def _reaches(edges: Mapping[str, set[str]], name: str) -> bool:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for onward in edges.get(waiting.pop(), ()):
            if onward == name:
                return True
            if onward not in seen:
                seen.add(onward)
                waiting.append(onward)
    return False


_MEET_THE_SAME = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")


def _in_place(schema: Written) -> set[str]:
    """The definitions that meet the same value as `schema`."""
    found: set[str] = set()
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("$ref"), str):
            found.add(node["$ref"].rpartition("/")[2])
        for keyword in _MEET_THE_SAME:
            inner = node.get(keyword)
            waiting.extend(inner if isinstance(inner, list) else [inner])
        dependent = node.get("dependentSchemas")
        waiting.extend(dependent.values() if isinstance(dependent, dict) else ())
    return found


def _plain(schema: Written) -> Any:
    return {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"} if isinstance(schema, dict) else schema


def _patterns(node: dict[str, Any]) -> Iterator[str]:
    if isinstance(node.get("pattern"), str):
        yield node["pattern"]
    if isinstance(node.get("patternProperties"), dict):
        yield from node["patternProperties"]


def _compiles(pattern: str, options: Any) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True
