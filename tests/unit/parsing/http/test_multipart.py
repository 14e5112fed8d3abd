"""multipart/form-data has one reading here: everything parsers disagree about is refused."""

from __future__ import annotations

import pytest

from sallygate.model.request import Part
from sallygate.parsing.http.multipart import MultipartError, parse_multipart

B = "X-B0undary"


def body(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--X-B0undary\r\n" + part + b"\r\n" for part in parts) + b"--X-B0undary" + end


FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
FILE = b'content-disposition:form-data; name="f"; filename="a \xc3\xa9.png"\r\nContent-Type: image/png\r\n\r\n\x00\r\n\xff\r\n'


def test_fields_and_files() -> None:
    assert parse_multipart(body(FIELD, FILE), B) == (
        Part("a", None, "text/plain", b"1"),
        Part("f", "a é.png", "image/png", b"\x00\r\n\xff\r\n"),
    )
    assert parse_multipart(body(FIELD, end=b"--"), B) == (Part("a", None, "text/plain", b"1"),)
    assert parse_multipart(body(), B) == ()


@pytest.mark.parametrize(("value", "read"), [(b"a", True), (b"\xe9", False), ("é".encode(), False)])
def test_a_charset_of_which_only_ascii_reads_one_way(value: bytes, read: bool) -> None:
    part = D + b'name="a"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\n' + value
    try:
        assert parse_multipart(body(part), B)[0].data == value and read
    except MultipartError as error:
        assert error.rule == "charset" and not read


@pytest.mark.parametrize("part, value", [
    (b'Content-Disposition: form-data; name="a"\r\n\r\n', b""),
    (b'Content-Disposition: form-data; name="a"\r\n\r\n--X-B0undar', b"--X-B0undar"),
    (b'Content-Disposition: form-data; name="a"\r\n\r\nx --X-B0undary y', b"x --X-B0undary y"),
    (b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 1\r\n\r\n1', b"1"),
    (b'Content-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n', b"\r\n"),
])  # fmt: skip
def test_odd_but_unambiguous_parts(part: bytes, value: bytes) -> None:
    assert parse_multipart(body(part), B)[0].data == value


D = b"Content-Disposition: form-data; "


@pytest.mark.parametrize("given, name, filename", [
    (b"name=title", "title", None),
    (b'name=file; filename=a.jpg; filename*=utf-8\'\'a.jpg', "file", "a.jpg"),
    (b'name="f"; filename="a b.jpg"; filename*=UTF-8\'\'a%20b.jpg', "f", "a b.jpg"),
    ("name=\"f\"; filename=\"é.jpg\"; filename*=utf-8''%C3%A9.jpg".encode(), "f", "é.jpg"),
])  # fmt: skip
def test_names_as_dotnet_writes_them(given: bytes, name: str, filename: str | None) -> None:
    """`System.Net.Http` leaves quotes out where it can, and says a file's name twice."""
    assert parse_multipart(body(D + given + b"\r\n\r\n1"), B) == (Part(name, filename, "text/plain", b"1"),)


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "preamble"),
    "preamble": (b"ignore me\r\n" + body(FIELD), "preamble"),
    "line break before": (b"\r\n" + body(FIELD), "preamble"),
    "epilogue": (body(FIELD) + b"--X-B0undary\r\n", "epilogue"),
    "text after the end": (body(FIELD) + b"x", "epilogue"),
    "no end": (b"--X-B0undary\r\n" + FIELD, "epilogue"),
    "end cut short": (body(FIELD, end=b"-"), "epilogue"),
    "bare line feeds": (body(FIELD).replace(b"\r\n", b"\n"), "epilogue"),
    "a boundary after a bare line feed": (body(FIELD + b"\n--X-B0undary\r\nx"), "boundary"),
    "a boundary after a bare carriage return": (body(FIELD + b"\r--X-B0undary"), "boundary"),
    "a boundary right after the headers": (body(D + b'name="a"\r\n\r\n--X-B0undary'), "headers"),
    "spaces after the boundary": (b"--X-B0undary \r\n" + FIELD + b"\r\n--X-B0undary--", "boundary"),
    "a longer boundary": (b"--X-B0undaryZ\r\n" + FIELD + b"\r\n--X-B0undary--", "boundary"),
    "no headers": (body(b"\r\n1"), "headers"),
    "no disposition": (body(b"Content-Type: text/plain\r\n\r\n1"), "disposition"),
    "another disposition": (body(b'Content-Disposition: attachment; name="a"\r\n\r\n1'), "disposition"),
    "no name": (body(b"Content-Disposition: form-data\r\n\r\n1"), "disposition"),
    "empty name": (body(D + b'name=""\r\n\r\n1'), "disposition"),
    "name twice": (body(D + b'name="a"; name="b"\r\n\r\n1'), "disposition"),
    "name in two cases": (body(D + b'name="a"; NAME="b"\r\n\r\n1'), "disposition"),
    "filename twice": (body(D + b'name="a"; filename="b"; filename="c"\r\n\r\n1'), "disposition"),
    "filename*": (body(D + b"name=\"a\"; filename*=UTF-8''b\r\n\r\n1"), "disposition"),
    "filename* that differs": (body(D + b'name="a"; filename="a"; filename*=utf-8\'\'b\r\n\r\n1'), "disposition"),
    "filename* of no UTF-8": (body(D + b'name="a"; filename="a"; filename*=utf-8\'\'%ff\r\n\r\n1'), "disposition"),
    "filename* twice": (
        body(D + b"name=a; filename=a; filename*=utf-8''a; filename*=utf-8''a\r\n\r\n1"),
        "disposition",
    ),
    "an encoded token": (body(D + b"name=a%22\r\n\r\n1"), "disposition"),
    "filename* quoted": (body(D + b'name="a"; filename="a"; filename*="UTF-8\'\'b"\r\n\r\n1'), "disposition"),
    "name*0": (body(D + b'name*0="a"; name*1="b"\r\n\r\n1'), "disposition"),
    "single quotes": (body(D + b"name='a'\r\n\r\n1"), "disposition"),
    "a backslash": (body(D + b'name="a\\"; filename=\\"b"\r\n\r\n1'), "disposition"),
    "another parameter": (body(D + b'name="a"; x="b"\r\n\r\n1'), "disposition"),
    "a control character": (body(D + b'name="a\tb"\r\n\r\n1'), "disposition"),
    "text after": (body(D + b'name="a" x\r\n\r\n1'), "disposition"),
    "no semicolon": (body(D + b'name="a" filename="b"\r\n\r\n1'), "disposition"),
    "disposition twice": (body(D + b'name="a"\r\n' + D + b'name="b"\r\n\r\n1'), "headers"),
    "type twice": (body(D + b'name="a"\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n\r\n1'), "headers"),
    "another header twice": (body(D + b'name="a"\r\nX-Name: b\r\nx-name: c\r\n\r\n1'), "headers"),
    "folded": (body(D + b'\r\n name="a"\r\n\r\n1'), "headers"),
    "space before the colon": (body(b'Content-Disposition : form-data; name="a"\r\n\r\n1'), "headers"),
    "NUL in a header": (body(D + b'name="a\x00b"\r\n\r\n1'), "headers"),
    "a bare line feed in a header": (body(D + b'name="a"\nContent-Type: a/b\r\n\r\n1'), "headers"),
    "a header that is not UTF-8": (body(D + b'name="\xff"\r\n\r\n1'), "headers"),
    "headers too long": (body(D + b'name="' + b"a" * 4096 + b'"\r\n\r\n1'), "headers"),
    "base64": (body(D + b'name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ=='), "transfer_encoding"),
    "quoted-printable": (
        body(D + b'name="a"\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n1'),
        "transfer_encoding",
    ),
    "nested": (body(D + b'name="a"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n1'), "nested"),
    "a message": (body(D + b'name="a"\r\nContent-Type: message/rfc822\r\n\r\n1'), "nested"),
    "a charset": (body(D + b'name="a"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n1'), "charset"),
    "a broken type": (body(D + b'name="a"\r\nContent-Type: text\r\n\r\n1'), "content_type"),
    "a wrong length": (body(D + b'name="a"\r\nContent-Length: 2\r\n\r\n1'), "content_length"),
    "too many parts": (body(*[FIELD] * 1001), "limits.parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_parsers_read_differently_is_refused(name: str) -> None:
    raw, rule = REFUSED[name]
    with pytest.raises(MultipartError) as caught:
        parse_multipart(raw, B)
    assert caught.value.rule == rule


def test_how_many_cases_ran() -> None:
    assert len(REFUSED) == 51


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a\r\nb", "ends with space ", 'a"b', "ä", "a\x00"])
def test_boundaries_that_are_none(boundary: str) -> None:
    with pytest.raises(MultipartError, match="boundary"):
        parse_multipart(b"--" + boundary.encode() + b"\r\n", boundary)


def test_as_many_parts_as_allowed() -> None:
    assert len(parse_multipart(body(*[FIELD] * 100), B)) == 100


def test_a_body_full_of_almost_boundaries_is_linear() -> None:
    raw = body(D + b'name="a"\r\n\r\n' + b"\r\n--X-B0undar" * 100_000)
    assert len(parse_multipart(raw, B)[0].data) == 13 * 100_000


def test_headers_that_forms_do_not_have_are_data() -> None:
    (part,) = parse_multipart(body(D + b'name="a"\r\nX-Name: b\r\nContent-ID: <1>\r\n\r\n1'), B)
    assert (part.name, part.data, part.others) == ("a", b"1", ("b", "<1>"))
