"""Content types, queries and forms."""

from __future__ import annotations

import pytest

from sallygate.parsing.http.forms import FormError, decode_pairs, decode_percent
from sallygate.parsing.http.media_types import ContentType, judge_charset, parse_content_type

READ = {
    "application/json": ContentType("application/json"),
    "Application/JSON ; Charset=UTF-8": ContentType("application/json", (("charset", "UTF-8"),)),
    'multipart/form-data; boundary="a b"': ContentType("multipart/form-data", (("boundary", "a b"),)),
    'a/b; x="q\\"uo\\\\te"': ContentType("a/b", (("x", 'q"uo\\te'),)),
    "a/b;": ContentType("a/b"),
    "a/b; ;x=1 ; ;": ContentType("a/b", (("x", "1"),)),
    "a/b;x=1;y=2": ContentType("a/b", (("x", "1"), ("y", "2"))),
    "application/vnd.a.b+json": ContentType("application/vnd.a.b+json"),
    " a/b ": ContentType("a/b"),
}
REFUSED = [
    "", "json", "a/", "/b", "a/b/c", "a/b,c/d", "a/b;x", "a/b; x=", "a/b; x = 1", "a/b;x=1;x=2", "a/b;X=1;x=2", 'a/b; x="1', "a/b x=1",
    "a/b;x=1 y=2", "a b/c", "a/b\x00", "a/b;x=\"\n\"", "ä/b", "a/b;" + "x=1;" * 100, "a/" + "b" * 300, "a/b\r\nX: y", "a/b;charset=utf-8,a/c",
]  # fmt: skip


@pytest.mark.parametrize("field", READ)
def test_media_types_are_read(field: str) -> None:
    assert parse_content_type(field) == READ[field]


@pytest.mark.parametrize("field", REFUSED)
def test_what_is_not_one_media_type_is_refused(field: str) -> None:
    assert parse_content_type(field) is None


@pytest.mark.parametrize(
    "charset, good",
    [
        ("utf-8", True),
        ("UTF8", True),
        ("us-ascii", True),
        ("utf-7", False),
        ("utf-16", False),
        ("ibm037", False),
        ("latin1", False),
    ],
)
def test_only_utf_8_is_read(charset: str, good: bool) -> None:
    media = parse_content_type(f"text/plain; charset={charset}")
    assert media is not None
    finding = judge_charset(media)
    assert (finding is None) == good
    assert finding is None or finding.status == 415


PAIRS = [
    (b"", ()), (b"a=1", (("a", "1"),)), (b"a=1&b=2&a=3", (("a", "1"), ("b", "2"), ("a", "3"))), (b"a", (("a", ""),)), (b"a=", (("a", ""),)),
    (b"=1", (("", "1"),)), (b"a=b=c", (("a", "b=c"),)), (b"a+b=c%20d", (("a b", "c d"),)), (b"a=%2B%26%3D", (("a", "+&="),)), (b"&&a=1&", (("a", "1"),)),
    (b"a;b=1", (("a;b", "1"),)), (b"a=%C3%A9", (("a", "é"),)), (b"a=\xc3\xa9", (("a", "é"),)), (b"a=%2541", (("a", "%41"),)),
]  # fmt: skip


@pytest.mark.parametrize("raw, pairs", PAIRS)
def test_pairs_are_decoded(raw: bytes, pairs: tuple[tuple[str, str], ...]) -> None:
    assert decode_pairs(raw) == pairs


@pytest.mark.parametrize(
    "raw",
    [
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%u0041",
        b"a=%ff",
        b"a=%c0%af",
        b"a=%ed%a0%80",
        b"a=%00",
        b"a=\x00",
        b"%00=1",
        b"a=\xff",
        b"a=%C3",
        b"\xff=%41",
    ],
)
def test_pairs_that_read_two_ways_are_refused(raw: bytes) -> None:
    with pytest.raises(FormError):
        decode_pairs(raw)


def test_pairs_are_counted() -> None:
    assert len(decode_pairs(b"&".join([b"a=1"] * 1000))) == 1000
    with pytest.raises(FormError):
        decode_pairs(b"&".join([b"a=1"] * 1001))
    with pytest.raises(FormError):
        decode_pairs(b"&" * 1000)


def test_percent_decoding_leaves_the_plus_alone() -> None:
    assert decode_percent("a+b%20c") == "a+b c"
