"""Validator of declared parameters in a request's path, query, headers and cookies.

Threat: parameter pollution (a name twice, read differently by gate and upstream), type juggling, values
beyond what the operation asks for, names nobody declared (mass assignment, guessed switches, cache keys). It
does not know bodies, and never repeats a value that was sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from sallygate.controls.contract.readings import Reading, shaped
from sallygate.controls.contract.said import FINDINGS_MAX, printable
from sallygate.controls.contract.schemas import Validator
from sallygate.controls.contract.styles import (
    Unreadable,
    bracket_path,
    decoded,
    plant,
    read_alternating,
    read_assignments,
    read_items,
    read_prefixed,
    split_delimited,
    unwrap,
)
from sallygate.model.finding import Finding
from sallygate.model.operation import Parameter
from sallygate.model.request import RequestHead
from sallygate.parsing.http.forms import FormError, decode_component, decode_percent, split_pairs
from sallygate.parsing.json_text import JsonError, parse_json

Pairs = Sequence[tuple[str, str]]
_CONTENT_DEPTH_MAX = 16
"""Of JSON inside a parameter."""


def parameter_finding(where: str, rule: str, detail: str, code: str = "contract.parameter") -> Finding:
    """A 400 about one parameter."""
    return Finding(code, f"{where} {detail}", 400, where=where, rule=rule, owasp="API8")


_ENCODED_COMMA = re.compile("%2[cC]")


class Field:
    """One parameter, or one member of a form: how its texts become a value, and what judges it."""

    __slots__ = (
        "_read",
        "allow_empty",
        "is_deep",
        "is_spread",
        "many",
        "name",
        "place",
        "reading",
        "required",
        "style",
        "validator",
        "where",
    )

    def __init__(self, parameter: Parameter, reading: Reading, validator: Validator | None) -> None:
        self.name = parameter.name
        self.where = f"{parameter.place}:{printable(parameter.name)}"
        self.reading = reading
        self.validator = validator
        self.required = parameter.required
        self.allow_empty = parameter.allow_empty
        self.style, self.place = parameter.style, parameter.place
        pairs = parameter.place in ("query", "cookie")
        by_name = pairs and parameter.explode and parameter.style != "content"
        self.many = by_name and reading.is_array and parameter.style != "deepObject"
        self.is_spread = by_name and reading.is_object and not reading.is_array and parameter.style == "form"
        self.is_deep = parameter.style == "deepObject" and (reading.is_object or reading.is_array)
        self._read = _reader(parameter, reading)

    @property
    def needs_raw(self) -> bool:
        """Whether the value has to be taken from the text as it was sent."""
        return self._read is not None and self.style != "content"

    def value(self, text: str | list[str]) -> object:
        """The value its text spells: encoded text where `needs_raw`. Raises `Unreadable`."""
        if self._read is not None:
            return self._read(text)  # type: ignore[arg-type]
        if isinstance(text, str):
            return self.reading.scalar(text)
        scalar = self.reading.items.scalar
        return [scalar(item) for item in text]

    def judge(self, value: object, text: object) -> Iterable[Finding]:
        """What is wrong with a value."""
        validator = self.validator
        if validator is None or validator.is_valid(value):
            return ()
        if self.allow_empty and text == "":
            return ()
        if self.reading.ambiguous and isinstance(text, str) and validator.is_valid(text):
            return ()
        if isinstance(text, str) and self._fits_with_encoded_commas(validator, text):
            return ()
        return [
            parameter_finding(self.where, rule, f"{pointer} {detail}".strip())
            for pointer, rule, detail in validator.errors(value, _nodes(value))
        ][:FINDINGS_MAX] or [parameter_finding(self.where, "schema", "does not fit its schema")]

    def _fits_with_encoded_commas(self, validator: Validator, text: str) -> bool:
        """Whether a list in a query fits whose commas are encoded, as standard clients write them: most servers decode
        before they split."""
        if not self.needs_raw or not self.reading.is_array or self.place != "query" or self.style != "form":
            return False
        if "," in text:  # one of them is data
            return False
        split = _ENCODED_COMMA.sub(",", text)
        try:
            return split != text and validator.is_valid(self.value(split))
        except Unreadable:
            return False


def _nodes(value: object) -> int:
    if isinstance(value, list):
        return 1 + sum(map(_nodes, value))
    if isinstance(value, dict):
        return 1 + sum(map(_nodes, value.values()))
    return 1


def _reader(parameter: Parameter, reading: Reading) -> Callable[[str], object] | None:
    """How one text becomes a value, or None when it is a scalar, or a list of them, as decoded."""
    style, explode, name = parameter.style, parameter.explode, parameter.name
    if style == "content":
        return _read_json
    if parameter.place == "path":
        if style == "simple" and not (reading.is_array or reading.is_object):
            return None
        return lambda text: read_prefixed(text, name, style, explode, reading, decode_percent)
    if not (reading.is_array or reading.is_object):
        return None
    if parameter.place == "header":
        return lambda text: _read_header(text, explode, reading)
    decode = decode_component if parameter.place == "query" else decode_percent
    if explode or style == "deepObject":
        return None
    if reading.is_array:
        return lambda text: read_items(split_delimited(text, style), reading, decode)
    return lambda text: read_alternating(split_delimited(text, style), reading, decode)


def _read_header(text: str, explode: bool, reading: Reading) -> object:
    pieces = [piece.strip(" \t") for piece in split_delimited(text, "simple")]
    if reading.is_array:
        return read_items(pieces, reading, str)
    return (read_assignments if explode else read_alternating)(pieces, reading, str)


def _read_json(text: str) -> object:
    try:
        return parse_json(text.encode(), _CONTENT_DEPTH_MAX)
    except JsonError as error:
        raise Unreadable("content", error.detail) from None


class PairFields:
    """Fields that come as name-value pairs: a query, or a form."""

    def __init__(self, fields: Sequence[Field], ignored: frozenset[str] = frozenset()) -> None:
        self._ignored = ignored
        self._by_name = {field.name: field for field in fields if not field.is_spread and not field.is_deep}
        self._deep = {field.name: field for field in fields if field.is_deep}
        self._spread: dict[str, Field] = {}
        self._open: Field | None = None
        for field in fields:
            if field.is_spread:
                self._spread.update(dict.fromkeys(field.reading.members, field))
                if field.reading.additional is not None:
                    self._open = field
        self.required = tuple(field for field in fields if field.required)
        self._compound = bool(self._deep or self._spread or self._open)

    def keeps_raw(self, name: str) -> bool:
        """Whether `name` is split at delimiters before it is decoded."""
        field = self._by_name.get(name)
        return field is not None and field.needs_raw

    def collect(
        self, pairs: Pairs, raw: bytes, findings: list[Finding]
    ) -> tuple[list[tuple[Field, object, object]], list[tuple[str, str]]]:
        """(field, value, text) of each field that came, and the pairs nobody declared."""
        texts: dict[str, Any] = {}
        others: list[tuple[str, str]] = []
        for name, text in pairs:
            field = self._by_name.get(name)
            if field is None:
                if name not in self._ignored:
                    others.append((name, text))
            elif name not in texts:
                texts[name] = [text] if field.many else text
            elif field.many:
                texts[name].append(text)
            else:
                findings.append(_repeated(field.where))
        found: list[tuple[Field, object, object]] = []
        for name, text in texts.items():
            field = self._by_name[name]
            try:
                if field.needs_raw and (b"%" in raw or b"+" in raw):
                    text = _raw_text(raw, name)
                found.append((field, field.value(text), text))
            except Unreadable as error:
                findings.append(parameter_finding(field.where, error.rule, error.detail))
        if others and self._compound:
            others = self._collect_compound(others, found, findings)
        return found, others

    def _collect_compound(
        self, pairs: Pairs, found: list[tuple[Field, object, object]], findings: list[Finding]
    ) -> list[tuple[str, str]]:
        """Objects spread over several names."""
        trees: dict[Field, dict[str, Any]] = {}
        unknown: list[tuple[str, str]] = []
        for name, text in pairs:
            base, bracket, rest = name.partition("[")
            deep = self._deep.get(base) if bracket else None
            field = deep or self._spread.get(name) or self._open
            if field is None:
                unknown.append((name, text))
                continue
            try:
                plant(trees.setdefault(field, {}), bracket_path(bracket + rest) if deep else [name], text)
            except Unreadable as error:
                if deep or error.detail != "has the same name twice":
                    findings.append(parameter_finding(field.where, error.rule, error.detail))
                else:
                    findings.append(_repeated(f"{field.where.partition(':')[0]}:{printable(name)}"))
        for field, tree in trees.items():
            found.append((field, shaped(unwrap(tree), field.reading), None))
        return unknown


def _repeated(where: str) -> Finding:
    return parameter_finding(where, "repeated", "is given more than once", "contract.parameter_repeated")


def _raw_text(raw: bytes, name: str) -> str:
    """The first value of `name` as it was sent."""
    try:
        for key, value in split_pairs(raw):
            if key == name or decode_component(key) == name:
                return value
    except FormError as error:
        raise Unreadable("encoding", f"holds {error.detail}") from None
    return ""


class ParameterPlan:
    """All parameters of one operation."""

    def __init__(
        self, path: str, fields: dict[str, list[Field]], ignored: frozenset[str], refuse_unknown: bool
    ) -> None:
        self._path = {field.name: field for field in fields["path"]}
        segments = path.split("/")
        self._segment = {
            name: at - len(segments)
            for name in self._path
            for at, segment in enumerate(segments)
            if segment == "{" + name + "}"
        }
        self._query = PairFields(fields["query"], ignored)
        self._headers = tuple((field.name.lower(), field) for field in fields["header"])
        self._cookies = PairFields(fields["cookie"]) if fields["cookie"] else None
        self._refuse_unknown = refuse_unknown

    def judge(self, head: RequestHead, path_values: Pairs, findings: list[Finding]) -> None:
        """Adds what is wrong with the parameters of a request."""
        for name, text in path_values:
            field = self._path.get(name)
            if field is not None:
                self._judge_path(field, text, head, findings)
        query = self._query
        if head.query or query.required:
            self._judge_query(query, head, findings)
        if self._headers:
            self._judge_headers(head, findings)
        if self._cookies is not None:
            self._judge_cookies(self._cookies, head, findings)

    def _judge_path(self, field: Field, text: str, head: RequestHead, findings: list[Finding]) -> None:
        try:
            if field.needs_raw and field.name in self._segment:
                text = head.raw_path.decode("ascii", "replace").split("/")[self._segment[field.name]]
            findings.extend(field.judge(field.value(text), text))
        except Unreadable as error:
            findings.append(parameter_finding(field.where, error.rule, error.detail))

    def _judge_query(self, query: PairFields, head: RequestHead, findings: list[Finding]) -> None:
        found, unknown = query.collect(head.query, head.raw_query, findings)
        for field, value, text in found:
            validator = field.validator
            if validator is not None and not validator.is_valid(value):
                findings.extend(field.judge(value, text))
        if query.required:
            _require(query, found, findings)
        if unknown and self._refuse_unknown:
            for name, _ in unknown[:FINDINGS_MAX]:
                where = "query:" + printable(name)
                findings.append(parameter_finding(where, "unknown", "is not a parameter", "contract.query_unknown"))

    def _judge_headers(self, head: RequestHead, findings: list[Finding]) -> None:
        for name, field in self._headers:
            text = head.fields.get(name)
            if text is None:
                if field.required:
                    findings.append(parameter_finding(field.where, "required", "is missing"))
                continue
            if "," in text and not field.reading.is_array and _count(head, name) > 1:
                findings.append(_repeated(field.where))
                continue
            try:
                findings.extend(field.judge(field.value(text), text))
            except Unreadable as error:
                findings.append(parameter_finding(field.where, error.rule, error.detail))

    def _judge_cookies(self, cookies: PairFields, head: RequestHead, findings: list[Finding]) -> None:
        pairs = []
        for piece in head.fields.get("cookie", "").split(";"):
            name, _, text = piece.strip(" \t").partition("=")
            if not cookies.keeps_raw(name):
                with suppress(Unreadable):  # then judged as it stands, as applications read cookies
                    text = decoded(text, decode_percent)
            pairs.append((name, text))
        found, _ = cookies.collect(pairs, b"", findings)
        for field, value, as_sent in found:
            findings.extend(field.judge(value, as_sent))
        _require(cookies, found, findings)


def _require(fields: PairFields, found: list[tuple[Field, object, object]], findings: list[Finding]) -> None:
    came = {field.name for field, _, _ in found}
    for field in fields.required:
        if field.name not in came and not any(finding.where == field.where for finding in findings):
            findings.append(parameter_finding(field.where, "required", "is missing"))


def _count(head: RequestHead, name: str) -> int:
    wanted = name.encode()
    return sum(1 for key, _ in head.headers if key == wanted)
