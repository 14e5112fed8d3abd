"""Limits of requests: each is a field of the policy, and its refusal names the field."""

from __future__ import annotations

import pytest

from injection_harness import post, request, verdict
from sallygate.offline.recordings import Recorded


def multipart(parts: int) -> Recorded:
    part = '--X\r\nContent-Disposition: form-data; name="a{}"\r\n\r\n1\r\n'
    body = "".join(part.format(number) for number in range(parts)) + "--X--\r\n"
    return post(body, "multipart/form-data; boundary=X")


MANY = tuple((b"x-%d" % number, b"1") for number in range(60))
CASES = [
    ("target", "2KiB", request("/" + "a" * 3000), "request.target_size"),
    ("query_fields", "10", request("/", "&".join(f"a{n}=1" for n in range(11))), "request.query"),
    ("header_fields", "50", request("/", "", *MANY), "request.headers"),
    ("header_bytes", "2KiB", request("/", "", (b"x-a", b"b" * 3000)), "request.headers"),
    ("form_fields", "10", post("&".join(f"a{n}=1" for n in range(11)), "application/x-www-form-urlencoded"), "body.form"),
    ("parts", "5", multipart(6), "body.multipart"),
    ("body", "1KiB", post(b"\x00" * 2000, "application/octet-stream"), "limits.body_size"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "limit", "recorded", "code"), CASES, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_request_above_a_limit(field: str, limit: str, recorded: Recorded, code: str) -> None:
    assert verdict(recorded).decision.findings == ()
    (found,) = verdict(recorded, more=f"limits: {{{field}: {limit}}}\n").decision.findings
    assert (found.code, found.rule) == (code, f"limits.{field}")
