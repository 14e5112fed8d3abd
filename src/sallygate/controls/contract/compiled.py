"""Contract compiled from an OpenAPI document: validators of parameters and bodies that return findings."""

from __future__ import annotations

from collections.abc import Iterable

from sallygate.controls.contract.bodies import CompiledBody, FormMembers
from sallygate.controls.contract.dialect import Dialect, Written
from sallygate.controls.contract.parameters import Field, Pairs, ParameterPlan
from sallygate.controls.contract.readings import PLAIN_TEXT, Readings
from sallygate.controls.contract.said import FINDINGS_MAX
from sallygate.controls.contract.schemas import Compiler, Validator
from sallygate.controls.contract.settings import ContractSettings
from sallygate.model.finding import Finding
from sallygate.model.operation import MediaType, Operation, Parameter
from sallygate.model.request import NO_BODY, Body, BodyPlan, RequestHead
from sallygate.parsing.http.body import BodyLimits
from sallygate.parsing.http.media_types import ContentType, is_ascii_only, judge_charset, kind_of, parse_content_type
from sallygate.parsing.openapi.document import Document, OpenAPIError
from sallygate.parsing.openapi.members import query_keys


class _Compiled:
    """One operation, compiled."""

    __slots__ = ("bodies", "by_field", "bytes_max", "parameters", "passes_undeclared", "required", "takes_body")

    def __init__(
        self,
        operation: Operation,
        parameters: ParameterPlan,
        bodies: dict[str, CompiledBody],
        bytes_max: int | None,
        *,
        passes_undeclared: bool,
    ) -> None:
        self.bytes_max = bytes_max
        self.passes_undeclared = passes_undeclared
        self.parameters = parameters
        self.bodies = bodies
        self.takes_body = bool(operation.body)
        self.required = operation.body_required
        self.by_field: dict[str, BodyPlan] = {}
        """Content-Type fields as most clients write them → the plan they lead to; the others are parsed."""


class Contract:
    """The compiled contract of one document. Raises `OpenAPIError` with every schema that does not compile.

    `notes` is for people: patterns that need backtracking, each with its place. `limits` is what `parse_body`
    is to be called with."""

    def __init__(
        self, document: Document, operations: Iterable[Operation], settings: ContractSettings | None = None
    ) -> None:
        self._settings = settings or ContractSettings()
        given = self._settings
        self.limits = BodyLimits(given.json_depth_max, given.form_pairs_max, given.parts_max)
        self._operations: dict[str, _Compiled] = {}
        problems: list[tuple[str, str]] = []
        notes: list[str] = []
        ignored = query_keys(document)
        for settings, those in self._by_settings(operations):
            dialect = Dialect(document, settings)
            written = [_Written(dialect, operation) for operation in those]
            compiler = Compiler(dialect)
            compiler.seal()
            readings = Readings(dialect)
            self._operations |= {
                found.operation.id: self._compile(found, readings, compiler, ignored, settings) for found in written
            }
            problems += (*dialect.problems, *compiler.problems)
            notes += compiler.notes
        if problems:
            raise OpenAPIError(tuple(dict.fromkeys(problems)))
        self.notes: tuple[str, ...] = tuple(dict.fromkeys(notes))

    def _by_settings(self, operations: Iterable[Operation]) -> list[tuple[ContractSettings, list[Operation]]]:
        """Operations of equal settings together: they share what is compiled."""
        own = self._settings.by_operation
        groups: list[tuple[ContractSettings, list[Operation]]] = [(self._settings, [])]
        for operation in operations:
            settings = own.get(operation.id, self._settings)
            those = next((those for known, those in groups if known == settings), None)
            if those is None:
                groups.append((settings, those := []))
            those.append(operation)
        return groups

    def _compile(
        self,
        found: _Written,
        readings: Readings,
        compiler: Compiler,
        ignored: frozenset[str],
        settings: ContractSettings,
    ) -> _Compiled:
        fields: dict[str, list[Field]] = {"path": [], "query": [], "header": [], "cookie": []}
        for parameter, schema in found.parameters:
            reading = readings.of(parameter.schema, parameter.pointer)
            free = schema == _ANY_TEXT and parameter.style != "content"
            validator = None if free else _validator(compiler, schema, parameter.pointer)
            fields[parameter.place].append(Field(parameter, reading, validator))
        bodies = {}
        for media, schema in found.bodies:
            validator = _validator(compiler, schema, media.pointer)
            members = None
            if media.name.startswith(("multipart/", "application/x-www-form", "*/*", "application/*")):
                members = FormMembers(readings, media, self._settings.json_depth_max)
            text = readings.of(media.schema, media.pointer) if media.name.startswith("text/") else PLAIN_TEXT
            bodies[media.name] = CompiledBody(validator, members, text)
        refuse = settings.unknown_query == "refuse"
        operation = found.operation
        own = self._settings.bytes_max_by_operation.get(operation.id)
        query = ParameterPlan(operation.path, fields, ignored, refuse)
        passes = settings.undeclared_content == "ignore"
        compiled = _Compiled(operation, query, bodies, own, passes_undeclared=passes)
        for media, _ in found.bodies:
            for field in (media.name, f"{media.name}; charset=utf-8", f"{media.name};charset=UTF-8"):
                plan = self._plan_media(compiled, field) if "*" not in field else None
                if isinstance(plan, BodyPlan):
                    compiled.by_field[field] = plan
        return compiled

    def plan_body(self, operation: Operation, head: RequestHead) -> BodyPlan | Finding:
        """How the body is to be read, from the head alone; or why it is not going to be."""
        compiled = self._operations[operation.id]
        fields = head.fields
        length = fields.get("content-length")
        announced = not (length is None or length == "0") or "transfer-encoding" in fields
        if not announced and not (head.unframed and compiled.takes_body and "content-type" in fields):
            if compiled.required:
                return Finding(
                    "contract.body_missing", "the operation needs a body", 400, rule="required", owasp="API8"
                )
            return NO_BODY
        sent = fields.get("content-type", "")
        plan = compiled.by_field.get(sent) or self._plan_media(compiled, sent)
        if length is not None and isinstance(plan, BodyPlan) and _is_over(length, plan.bytes_max):
            detail = f"the body is larger than {plan.bytes_max} bytes"
            return Finding(
                "contract.body_size",
                detail,
                413,
                where="header:content-length",
                rule=plan.limit,
                owasp="API4",
            )
        return plan

    def _plan_media(self, compiled: _Compiled, sent: str) -> BodyPlan | Finding:
        media = parse_content_type(sent)
        if not compiled.takes_body:
            if compiled.passes_undeclared:
                return self._undeclared(compiled, media)
            return Finding(
                "contract.body_unexpected",
                "the operation takes no body",
                415,
                rule="requestBody",
                owasp="API8",
            )
        declared = _declared(compiled.bodies, media.name) if media else None
        if media is None or declared is None:
            if compiled.passes_undeclared and (media is not None or not sent):
                return self._undeclared(compiled, media)
            detail = "the operation takes no body of this media type" if media else "not one well-formed media type"
            detail = detail if sent else "the body has no Content-Type"
            return Finding(
                "contract.content_type",
                detail,
                415,
                where="header:content-type",
                rule="content",
                owasp="API8",
            )
        return self._plan_declared(media, declared, compiled.bytes_max)

    def _undeclared(self, compiled: _Compiled, media: ContentType | None) -> BodyPlan:
        """A body that passes although the document lacks its media type."""
        most, limit = compiled.bytes_max or self._settings.upload_bytes_max, _OWN if compiled.bytes_max else _UPLOAD
        return BodyPlan("stream", "binary", most, media.name if media else "", limit=limit)

    def _plan_declared(self, media: ContentType, declared: str, own: int | None) -> BodyPlan | Finding:
        kind = kind_of(media.name)
        if kind == "binary":
            most = own or self._settings.upload_bytes_max
            limit = _OWN if own else _UPLOAD
            return BodyPlan("stream", kind, most, media.name, declared=declared, limit=limit)
        charset = judge_charset(media)
        if charset is not None:
            return charset
        upload = kind == "multipart"
        most = own or (self._settings.upload_bytes_max if upload else self._settings.body_bytes_max)
        limit = _OWN if own else _UPLOAD if upload else _BODY
        boundary = (media.parameter("boundary") or "") if kind == "multipart" else ""
        only = is_ascii_only(media)
        return BodyPlan("whole", kind, most, media.name, boundary, declared=declared, limit=limit, ascii=only)

    def judge(self, operation: Operation, head: RequestHead, path_values: Pairs, body: Body) -> tuple[Finding, ...]:
        """What is wrong with the parameters and the parsed body; empty when nothing is."""
        compiled = self._operations[operation.id]
        findings: list[Finding] = []
        compiled.parameters.judge(head, path_values, findings)
        if body.kind != "none":
            plan = compiled.bodies.get(body.declared)
            if plan is not None:
                plan.judge(body, findings)
        return tuple(findings[:FINDINGS_MAX]) if findings else ()


class _Written:
    """An operation with its schemas rewritten, before any is compiled."""

    def __init__(self, dialect: Dialect, operation: Operation) -> None:
        self.operation = operation
        self.parameters: list[tuple[Parameter, Written]] = [
            (parameter, dialect.rewrite(parameter.schema, parameter.pointer)) for parameter in operation.parameters
        ]
        self.bodies: list[tuple[MediaType, Written]] = [
            (media, dialect.rewrite(media.schema, media.pointer) if media.schema is not None else True)
            for media in operation.body
        ]


_OWN, _UPLOAD, _BODY = "operations.body", "contract.upload", "contract.body"
"""The policy's fields that limit a body."""
_ANY_TEXT: Written = {"type": "string"}
"""Which every parameter is, until its schema says more: nothing to validate."""


def _validator(compiler: Compiler, schema: Written, pointer: str) -> Validator | None:
    """None for a schema that refuses nothing."""
    return None if schema is True or schema == {} else compiler.compile(schema, pointer)


def _declared(bodies: dict[str, CompiledBody], media: str) -> str | None:
    """The contract's own key for a media type: the most specific that fits (OpenAPI 3.1.1, section
    4.8.13.1)."""
    if media in bodies:
        return media
    group = media.partition("/")[0] + "/*"
    return group if group in bodies else "*/*" if "*/*" in bodies else None


def _is_over(length: str, bytes_max: int) -> bool:
    """Digits only, by the parser of the head; a number too long to read is too large as well."""
    return len(length) > 15 or not length.isdigit() or int(length) > bytes_max
