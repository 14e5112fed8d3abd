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
from sallygate.parsing.http.media_types import ContentType, judge_charset, kind_of, parse_content_type
from sallygate.parsing.openapi.document import Document, OpenAPIError


class _Compiled:
    """One operation, compiled."""

    __slots__ = ("bodies", "by_field", "bytes_max", "parameters", "required", "takes_body")

    def __init__(
        self, operation: Operation, parameters: ParameterPlan, bodies: dict[str, CompiledBody], bytes_max: int | None
    ) -> None:
        self.bytes_max = bytes_max
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
        self.limits = BodyLimits(json_depth_max=self._settings.json_depth_max)
        dialect = Dialect(document, self._settings)
        operations = tuple(operations)
        written = [_Written(dialect, operation) for operation in operations]
        compiler = Compiler(dialect)
        compiler.seal()
        ignored = _query_keys(document)
        readings = Readings(dialect)
        self._operations = {found.operation.id: self._compile(found, readings, compiler, ignored) for found in written}
        problems = (*dialect.problems, *compiler.problems)
        if problems:
            raise OpenAPIError(problems)
        self.notes: tuple[str, ...] = tuple(compiler.notes)

    def _compile(self, found: _Written, readings: Readings, compiler: Compiler, ignored: frozenset[str]) -> _Compiled:
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
        refuse = self._settings.unknown_query == "refuse"
        operation = found.operation
        own = self._settings.bytes_max_by_operation.get(operation.id)
        compiled = _Compiled(operation, ParameterPlan(operation.path, fields, ignored, refuse), bodies, own)
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
                rule="bytes_max",
                owasp="API4",
            )
        return plan

    def _plan_media(self, compiled: _Compiled, sent: str) -> BodyPlan | Finding:
        settings = self._settings
        media = parse_content_type(sent)
        if not compiled.takes_body:
            if settings.undeclared_content == "ignore":
                return BodyPlan("stream", "binary", settings.upload_bytes_max, media.name if media else "")
            return Finding(
                "contract.body_unexpected",
                "the operation takes no body",
                415,
                rule="requestBody",
                owasp="API8",
            )
        declared = _declared(compiled.bodies, media.name) if media else None
        if media is None or declared is None:
            if settings.undeclared_content == "ignore" and (media is not None or not sent):
                return BodyPlan("stream", "binary", settings.upload_bytes_max, media.name if media else "")
            detail = "the operation takes no body of this media type" if media else "not one well-formed media type"
            return Finding(
                "contract.content_type",
                detail,
                415,
                where="header:content-type",
                rule="content",
                owasp="API8",
            )
        return self._plan_declared(media, declared, compiled.bytes_max)

    def _plan_declared(self, media: ContentType, declared: str, own: int | None) -> BodyPlan | Finding:
        kind = kind_of(media.name)
        if kind == "binary":
            return BodyPlan("stream", kind, own or self._settings.upload_bytes_max, media.name, declared=declared)
        charset = judge_charset(media)
        if charset is not None:
            return charset
        usual = self._settings.upload_bytes_max if kind == "multipart" else self._settings.body_bytes_max
        boundary = (media.parameter("boundary") or "") if kind == "multipart" else ""
        return BodyPlan("whole", kind, own or usual, media.name, boundary, declared=declared)

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


_ANY_TEXT: Written = {"type": "string"}
"""Which every parameter is, until its schema says more: nothing to validate."""


def _validator(compiler: Compiler, schema: Written, pointer: str) -> Validator | None:
    """None for a schema that refuses nothing."""
    return None if schema is True or schema == {} else compiler.compile(schema, pointer)


def _query_keys(document: Document) -> frozenset[str]:
    """Names of API keys that travel in the query: `identity` judges them."""
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    return frozenset(
        str(scheme.get("name"))
        for scheme in (schemes.values() if isinstance(schemes, dict) else ())
        if isinstance(scheme, dict) and scheme.get("type") == "apiKey" and scheme.get("in") == "query"
    )


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
