"""Batches of requests in one body, headers of parts, and codings that are passed: each value is judged, and no form of it."""

from __future__ import annotations

import pytest

from injection_harness import SQL, XSS, post, said, verdict

BATCH = (
    "--batch\r\nContent-Type: multipart/mixed; boundary=set\r\n\r\n--set\r\nContent-Type: application/http\r\n"
    "Content-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n{line}\r\nHost: a.example\r\nX-Note: {header}\r\n"
    'Content-Type: application/json\r\n\r\n{{"name":"{value}"}}\r\n--set--\r\n--batch--\r\n'
)
LINE = "PATCH /service/Customers('ALFKI')?$select=Name&$top=5 HTTP/1.1"


def batch(line: str = LINE, header: str = "plain", value: str = "Kim O'Neil") -> list[str]:
    return said(post(BATCH.format(line=line, header=header, value=value), "multipart/mixed; boundary=batch"))


@pytest.mark.parametrize("line", [LINE, "GET /a HTTP/1.1", "DELETE /a/b?c=d%20e HTTP/1.1", "POST /a HTTP/2"])
def test_an_honest_batch_passes(line: str) -> None:
    assert batch(line) == []


def test_each_value_of_a_request_in_a_batch_is_judged() -> None:
    assert batch(value=SQL) != [] and batch(header=XSS) != []
    assert batch("GET /a?q=1%27%20union%20select%20a,b%20from%20users--%20 HTTP/1.1") != []
    assert batch("GET /a?%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1") != []
    assert batch("GET /a/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1") != []


def test_quoted_printable_in_a_batch_is_undone() -> None:
    assert (
        batch(value="=3Cscript=3Ealert(1)=3C/script=3E") != []
        and batch(value="1=27 union=20select a,b from us=\r\ners-- ") != []
    )
    assert batch(value="a=b and c=3D4, caf=C3=A9") == []


def test_a_request_in_a_value_that_is_no_batch_is_found() -> None:
    assert said(post('{"a":"x\\r\\nGET /admin HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n"}')) != []


def test_a_header_of_a_part_is_data() -> None:
    part = '--X\r\nContent-Disposition: form-data; name="a"\r\nX-Note: {}\r\n\r\nv\r\n--X--\r\n'
    assert said(post(part.format("plain"), "multipart/form-data; boundary=X")) == []
    assert said(post(part.format(XSS), "multipart/form-data; boundary=X")) == ["xss body:/a"]


def test_a_coding_that_is_not_read_passes_where_the_policy_says_so() -> None:
    coded = post(b"\x0b\x02\x80abc\x03", "application/json", (b"content-encoding", b"compress"))
    assert verdict(coded).status == 415 == verdict(coded, "uninspected: spool").status
    assert said(coded, "uninspected: pass") == []
