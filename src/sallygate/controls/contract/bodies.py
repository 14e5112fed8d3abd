"""Validator of parsed request bodies by their compiled schemas: JSON, forms, multipart and text.

Threat: members nobody declared (mass assignment), wrong types, bodies of another kind than the operation
takes, fields twice. It does not know parameters, and never repeats a value that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sallygate.controls.contract.parameters import Field, PairFields
from sallygate.controls.contract.readings import Reading, Readings
from sallygate.controls.contract.said import FINDINGS_MAX, printable
from sallygate.controls.contract.schemas import Validator, body_finding
from sallygate.controls.contract.styles import Unreadable
from sallygate.model.finding import Finding
from sallygate.model.operation import MediaType, Parameter
from sallygate.model.request import Body, Part
from sallygate.parsing.http.media_types import kind_of
from sallygate.parsing.json_text import JsonError, parse_json


class FormMembers:
    """The members of a form's schema, and how each is written in the form."""

    def __init__(self, readings: Readings, media: MediaType, json_depth_max: int) -> None:
        self.reading = readings.of(media.schema if media.schema is not None else {}, media.pointer)
        self._encoding = media.encoding
        self._depth = json_depth_max
        self.pairs = PairFields([self._field(name, reading) for name, reading in self.reading.members.items()])
        self._types = {name: _media_types(entry) for name, entry in media.encoding.items()}

    def _field(self, name: str, reading: Reading) -> Field:
        """A member as a query parameter would be written (OpenAPI 3.1.1, section 4.8.15.1); objects are JSON
        unless `encoding` gives them a style."""
        encoding = self._encoding.get(name, {})
        style = str(encoding.get("style") or "form")
        explode = encoding.get("explode", style in ("form", "deepObject")) is True
        if reading.is_object and not reading.is_array and not ({"style", "explode"} & encoding.keys()):
            style, explode = "content", False
        return Field(Parameter(name, "query", False, style, explode, {}, ""), reading, None)

    def of_pairs(self, body: Body, findings: list[Finding]) -> dict[str, object]:
        """The object a urlencoded form spells; members nobody declared are in it as text."""
        pairs: Any = body.tree  # a tuple of pairs, as Body says for its kind
        problems: list[Finding] = []
        found, others = self.pairs.collect(pairs, body.raw, problems)
        findings.extend(_of_body(problem) for problem in problems)
        value: dict[str, object] = {field.name: entry for field, entry, _ in found}
        for name, text in others:
            if name in value:
                findings.append(body_finding("/" + printable(name), "repeated", "is given more than once"))
            value[name] = self.reading.member(name).scalar(text)
        return value

    def of_parts(self, body: Body, findings: list[Finding]) -> dict[str, object]:
        """The object a multipart form spells: files are opaque, JSON parts parsed, the rest text."""
        parts: Any = body.tree  # a tuple of Part, as Body says for its kind
        value: dict[str, object] = {}
        wholes: set[str] = set()
        for part in parts:
            reading = self.reading.member(part.name)
            whole = reading.is_array and _is_json(part) and part.data.lstrip()[:1] == b"["
            many = reading.is_array and not whole
            pointer = "/" + printable(part.name)
            types = self._types.get(part.name)
            if types and not any(_fits(part.media, wanted) for wanted in types):
                finding = body_finding(pointer, "contentType", "is not of a media type this part takes")
                findings.append(finding)
                continue
            try:
                entry = self._part(part, reading.items if many else reading)
            except Unreadable as error:
                findings.append(body_finding(pointer, error.rule, error.detail))
                continue
            if many and part.name not in wholes:
                value.setdefault(part.name, []).append(entry)  # type: ignore[attr-defined]
            elif part.name in value:
                findings.append(body_finding(pointer, "repeated", "is given more than once"))
            else:
                value[part.name] = entry
                wholes.add(part.name)
        return value

    def _part(self, part: Part, reading: Reading) -> object:
        if reading.is_file:
            return part.data.decode("latin-1") if reading.is_measured else ""
        if _is_json(part) or reading.is_object:
            try:
                return parse_json(part.data, self._depth)
            except JsonError as error:
                raise Unreadable("content", f"is not JSON: {error.detail}") from None
        if part.filename is not None:
            raise Unreadable("filename", "is sent as a file and is none")
        try:
            return reading.scalar(part.data.decode("utf-8"))
        except UnicodeDecodeError:
            raise Unreadable("encoding", "is not UTF-8") from None


def _is_json(part: Part) -> bool:
    return kind_of(part.media) == "json"


def _media_types(encoding: Mapping[str, object]) -> tuple[str, ...]:
    written = str(encoding.get("contentType") or "").lower()
    return tuple(kind.partition(";")[0].strip() for kind in written.split(",") if kind.strip())


def _fits(media: str, wanted: str) -> bool:
    if wanted.endswith("/*"):
        return wanted == "*/*" or media.startswith(wanted[:-1])
    return media == wanted


def _of_body(finding: Finding) -> Finding:
    """A finding about a pair, said of the body's member."""
    name = finding.where.partition(":")[2]
    return body_finding("/" + name, finding.rule, finding.detail.partition(" ")[2])


class CompiledBody:
    """One entry of an operation's request body, compiled."""

    __slots__ = ("_members", "_reading", "_validator")

    def __init__(self, validator: Validator | None, members: FormMembers | None, reading: Reading) -> None:
        self._validator = validator
        self._members = members
        self._reading = reading

    def judge(self, body: Body, findings: list[Finding]) -> None:
        """Adds what is wrong with a parsed body."""
        value = body.tree
        if body.kind in ("form", "multipart") and self._members is not None:
            read = self._members.of_pairs if body.kind == "form" else self._members.of_parts
            value = read(body, findings)
        elif body.kind == "text":
            value = self._reading.scalar(str(value))
        elif body.kind != "json":
            return
        validator = self._validator
        if validator is None or validator.is_valid(value):
            return
        if body.kind == "text" and self._reading.ambiguous and validator.is_valid(body.tree):
            return
        for pointer, keyword, detail in validator.errors(value, _nodes_of(body)):
            finding = body_finding(pointer, keyword, detail)
            if finding not in findings:
                findings.append(finding)
            if len(findings) >= FINDINGS_MAX:
                return


def _nodes_of(body: Body) -> int:
    """At least the number of values in a body: each but the first has a separator before it."""
    if body.kind == "json":
        return 1 + body.raw.count(b",") + body.raw.count(b":") + body.raw.count(b"[") + body.raw.count(b"{")
    return 1 + len(body.tree) if isinstance(body.tree, tuple) else 1
