"""Problem documents (RFC 9457): the only form of a refusal. They name what the caller can change, nothing internal."""

from __future__ import annotations

from http import HTTPStatus

from msgspec.json import encode

from sallygate.model.decision import Decision, HeaderList

MEDIA = (b"content-type", b"application/problem+json")
SERVER = (b"server", b"sallygate")
"""Said in place of the server's or the upstream's own name."""


def problem_body(decision: Decision, request_id: str) -> bytes:
    """`code` and `detail` of the finding that decided; for input that breaks the contract also `errors`, each with
    `where` and `rule`, never the value."""
    findings = [finding for finding in decision.findings if finding.mode == "enforce"]
    first = findings[0]
    document: dict[str, object] = {
        "type": "about:blank",
        "title": _title(decision.status),
        "status": decision.status,
        "code": first.code,
        "detail": first.detail,
        "request_id": request_id,
    }
    errors = [
        {
            "code": f.code,
            "detail": f.detail,
            "where": f.where,
            **({"rule": f.rule} if f.control == "contract" else {}),
        }
        for f in findings
        if f.where
    ]
    if errors:
        document["errors"] = errors
    return encode(document)


def problem_headers(body: bytes, headers: HeaderList) -> list[tuple[bytes, bytes]]:
    """Header fields of a problem document with `body`, and the given ones."""
    return [
        MEDIA,
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
