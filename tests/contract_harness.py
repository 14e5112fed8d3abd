"""An API as its document describes it, asked with plain values: routing, body plan, parser and contract in
one call."""

from __future__ import annotations

import json
from typing import Any

from sallygate.controls.contract import Contract, ContractSettings
from sallygate.model.finding import Finding
from sallygate.model.request import EMPTY_BODY, BodyPlan, RequestHead
from sallygate.parsing.http.body import parse_body
from sallygate.parsing.http.forms import decode_pairs, decode_percent
from sallygate.parsing.openapi.document import read_operations
from sallygate.parsing.openapi.routes import RouteTable


def document(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **more}


def one_parameter(parameter: dict[str, Any], version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document with one GET operation that has one parameter."""
    path = f"/x/{{{parameter['name']}}}" if parameter["in"] == "path" else "/x"
    return document({path: {"get": {"parameters": [parameter]}}}, version, **more)


def one_body(schema: Any, media: str = "application/json", version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document with one POST operation that takes one kind of body; `encoding` goes to the media type."""
    content = {media: {"schema": schema, "encoding": more.pop("encoding", {})}}
    components = {"schemas": more.pop("schemas", {})}
    return document({"/x": {"post": {"requestBody": {"content": content}}}}, version, components=components, **more)


def make_head(method: str, target: str | bytes, headers: dict[str, str] | list[tuple[str, str]] = ()) -> RequestHead:  # type: ignore[assignment]
    raw = target if isinstance(target, bytes) else target.encode()
    path, _, query = raw.partition(b"?")
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields[name.lower()] = f"{fields[name.lower()]}, {value}" if name.lower() in fields else value
    return RequestHead(
        method=method,
        scheme="https",
        raw_path=path,
        raw_query=query,
        headers=tuple((name.lower().encode(), value.encode()) for name, value in pairs),
        http_version="1.1",
        peer="192.0.2.1",
        client_address="192.0.2.1",
        client_network="192.0.2.1",
        segments=tuple(decode_percent(segment) for segment in path.decode().split("/")[1:]),
        query=decode_pairs(query),
        fields=fields,
        request_id="r",
        trace_id="0" * 32,
        received_at=0.0,
    )


class Api:
    """A document compiled, and requests to it."""

    def __init__(self, described: dict[str, Any], **settings: Any) -> None:
        operations = read_operations(described)
        self.operations = {operation.id: operation for operation in operations}
        self.routes = RouteTable(operations)
        self.contract = Contract(described, operations, ContractSettings(**settings))

    def plan(self, head: RequestHead) -> BodyPlan | Finding:
        match = self.routes.match(head.method, head.raw_path, head.segments)
        assert match is not None and match.operation is not None, "no such operation"
        return self.contract.plan_body(match.operation, head)

    def ask(
        self, method: str, target: str | bytes, headers: Any = (), body: bytes | None = None, media: str | None = None
    ) -> tuple[Finding, ...]:
        """Everything the contract finds wrong with a request; nothing when it would pass."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if body is not None:
            pairs.append(("content-length", str(len(body))))
            pairs += [("content-type", media)] if media is not None else []
        head = make_head(method, target, pairs)
        match = self.routes.match(head.method, head.raw_path, head.segments)
        assert match is not None and match.operation is not None, "no such operation"
        plan = self.contract.plan_body(match.operation, head)
        if isinstance(plan, Finding):
            return (plan,)
        parsed = parse_body(plan, body or b"", self.contract.limits) if plan.mode == "whole" else EMPTY_BODY
        if isinstance(parsed, Finding):
            return (parsed,)
        return self.contract.judge(match.operation, head, match.path_values, parsed)

    def get(self, target: str | bytes, headers: Any = ()) -> list[str]:
        return said(self.ask("GET", target, headers))

    def post(self, value: Any, target: str = "/x", media: str = "application/json") -> list[str]:
        """Posts a value as JSON, or bytes as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return said(self.ask("POST", target, (), body, media))


def said(findings: tuple[Finding, ...]) -> list[str]:
    """Findings as `code where rule`, the code without `contract.`."""
    return [f"{f.code.removeprefix('contract.')} {f.where} {f.rule}" for f in findings]
