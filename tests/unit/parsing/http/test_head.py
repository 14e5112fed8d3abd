"""The canonical reading: what passes passes unchanged, what reads two ways is a fault with its reason."""

from __future__ import annotations

import pytest

from sallygate.model.request import RequestHead
from sallygate.parsing.addresses import prefix_set
from sallygate.parsing.http.head import HEADERS_MAX, TARGET_BYTES_MAX, HeadReader

HOST = ((b"host", b"api.example"),)


def read(
    raw_path: bytes = b"/", raw_query: bytes = b"", headers=HOST, peer="192.0.2.1", reader=None, **more
) -> RequestHead:
    given = {"method": "GET", "scheme": "https", "http_version": "1.1", "request_id": "0" * 32, "now": 0.0, **more}
    return (reader or HeadReader()).read(raw_path=raw_path, raw_query=raw_query, headers=headers, peer=peer, **given)


def code(head: RequestHead) -> str:
    return head.fault.code if head.fault else ""


GOOD_PATHS = [
    (b"/", ("",)),
    (b"/a/b", ("a", "b")),
    (b"/a/", ("a", "")),
    (b"/a%20b", ("a b",)),
    (b"/%C3%A9", ("é",)),
    (b"/a.b/.well-known", ("a.b", ".well-known")),
    (b"/a;v=1/x", ("a;v=1", "x")),
    (b"/...", ("...",)),
    (b"/a%25b", ("a%b",)),
    (b"/~user/@me:x", ("~user", "@me:x")),
]
BAD_PATHS = [
    b"", b"*", b"a", b"http://x/y", b"/a b", b"/a\tb", b"/a\x00", b"/%00", b"/%0a", b"/a\\b", b"/%5c", b"/%5C..%5c",
    b"/..", b"/.", b"/a/../b", b"/a/./b", b"/%2e%2e/b", b"/.%2e", b"/a/..;/b", b"/..;x=1/a", b"/%2f", b"/a%2Fb",
    b"/%zz", b"/%", b"/%4", b"/%c0%af", b"/%e0%80%af", b"/%ff", b"/\xc3\xa9", b"/%252e%252e/", b"/%252f", b"/%255c", b"/%25%32%65", b"/a/%2%35%32e", b"/%252%65%2%65", b"/%25252e%25252e/", b"/x%25%32%66y", b"/%2525252525252f", b"/%25%30%30",
    b"/%2500", b"/a\"", b"/a<", b"/a{", b"/a`", b"/%7f", b"/a#b", b"/a\r\nX: y", b"/%ed%a0%80",
]  # fmt: skip


@pytest.mark.parametrize(("raw", "segments"), GOOD_PATHS)
def test_paths_with_one_reading(raw: bytes, segments: tuple[str, ...]) -> None:
    head = read(raw)
    assert head.fault is None
    assert head.segments == segments
    assert head.target == raw


@pytest.mark.parametrize("raw", BAD_PATHS)
def test_paths_that_read_two_ways(raw: bytes) -> None:
    assert code(read(raw)) == "request.path"


def test_every_byte_in_a_path_is_either_kept_or_refused() -> None:
    kept = {byte for byte in range(256) if read(b"/a" + bytes([byte]) + b"b").fault is None}
    allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/[]|^"
    assert kept == set(allowed)


def test_ambiguous_paths_may_be_allowed_but_never_dots() -> None:
    reader = HeadReader(ambiguous_paths="allow")
    assert read(b"/a%2fb", reader=reader).segments == ("a/b",)
    assert read(b"/a%252fb", reader=reader).segments == ("a%2fb",)
    for hidden in (b"/a%2f..%2fb", b"/%2e%2e%2f", b"/x/..%2fy"):
        assert code(read(hidden, reader=reader)) == "request.path"


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"a=1&b=2", (("a", "1"), ("b", "2"))),
        (b"a=1&a=2", (("a", "1"), ("a", "2"))),
        (b"q=a+b%20c", (("q", "a b c"),)),
        (b"q=%C3%A9", (("q", "é"),)),
        (b"flag&x=", (("flag", ""), ("x", ""))),
        (b"a=b=c", (("a", "b=c"),)),
        (b"x[y]=1&z='\"<>|{}", (("x[y]", "1"), ("z", "'\"<>|{}"))),
    ],
)
def test_queries_with_one_reading(raw: bytes, pairs: tuple[tuple[str, str], ...]) -> None:
    head = read(b"/", raw)
    assert head.fault is None
    assert head.query == pairs


@pytest.mark.parametrize(
    "raw", [b"a=%", b"a=%zz", b"a=%00", b"a=\x00", b"a=%ff", b"a=%c0%80", b"a=\xe9", b"a b", b"a#b"]
)
def test_queries_that_read_two_ways(raw: bytes) -> None:
    assert code(read(b"/", raw)) == "request.query"


def test_sizes_are_bounded() -> None:
    assert read(b"/" + b"a" * (TARGET_BYTES_MAX + 1)).fault.status == 414
    assert read(headers=HOST + tuple((b"x-%d" % n, b"") for n in range(HEADERS_MAX))).fault.status == 431
    assert read(headers=(*HOST, (b"x", b"a" * 40_000))).fault.status == 431
    assert code(read(b"/", b"&".join([b"a=1"] * 300))) == "request.query"
    assert code(read(method="G" * 25)) == "request.method"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (((b"host", b"a"), (b"host", b"b")), "request.header_repeated"),
        ((*HOST, (b"content-length", b"1"), (b"content-length", b"1")), "request.header_repeated"),
        ((*HOST, (b"content-type", b"a/b"), (b"content-type", b"a/b")), "request.header_repeated"),
        ((*HOST, (b"authorization", b"x"), (b"authorization", b"x")), "request.header_repeated"),
        ((*HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")), "request.framing"),
        ((*HOST, (b"content-length", b"+1")), "request.framing"),
        ((*HOST, (b"content-length", b"1_0")), "request.framing"),
        ((*HOST, (b"content-length", b"\xb2")), "request.framing"),
        ((*HOST, (b"transfer-encoding", b"gzip, chunked")), "request.framing"),
        ((*HOST, (b"transfer-encoding", b"xchunked")), "request.framing"),
        ((), "request.host"),
        (((b"host", b"a/b"),), "request.host"),
        (((b"host", b"a b"),), "request.host"),
        (((b"host", b"user@a"),), "request.host"),
        ((*HOST, (b"x", b"a\x00b")), "request.headers"),
        ((*HOST, (b"x", b"a\rb")), "request.headers"),
        ((*HOST, (b"x y", b"a")), "request.headers"),
        ((*HOST, (b"x:", b"a")), "request.headers"),
        ((*HOST, (b"", b"a")), "request.headers"),
        ((*HOST, (b"content_length", b"9")), "request.header_underscore"),
        ((*HOST, (b"transfer_encoding", b"chunked")), "request.header_underscore"),
        ((*HOST, (b"x-role", b"user"), (b"x_role", b"admin")), "request.header_underscore"),
        ((*HOST, (b"x_a-b", b"1"), (b"x-a_b", b"2")), "request.header_underscore"),
        ((*HOST, (b"connection", b"close, X-Tenant"), (b"x-tenant", b"7")), "request.connection"),
        ((*HOST, (b"connection", b"content-type"), (b"content-type", b"a/b")), "request.connection"),
    ],
)
def test_headers_that_read_two_ways(headers, expected: str) -> None:
    assert code(read(headers=headers)) == expected


def test_list_headers_are_joined_and_cookies_by_semicolon() -> None:
    head = read(headers=(*HOST, (b"accept", b"a/b"), (b"accept", b"c/d"), (b"cookie", b"a=1"), (b"cookie", b"b=2")))
    assert head.fields["accept"] == "a/b, c/d"
    assert head.fields["cookie"] == "a=1; b=2"


def test_the_client_is_the_peer_unless_a_trusted_hop_says_otherwise() -> None:
    forged = (*HOST, (b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https"))
    assert read(headers=forged).client_address == "192.0.2.1"
    reader = HeadReader(trusted_hops=prefix_set(("192.0.2.0/24", "10.0.0.0/8")))
    head = read(headers=forged, reader=reader, scheme="http")
    assert (head.client_address, head.scheme, head.peer) == ("203.0.113.9", "https", "192.0.2.1")


def test_what_a_client_wrote_left_of_the_first_untrusted_hop_is_not_believed() -> None:
    reader = HeadReader(trusted_hops=prefix_set(("192.0.2.0/24", "10.0.0.0/8")))
    chain = (*HOST, (b"x-forwarded-for", b"1.1.1.1, 203.0.113.9, 10.0.0.3"))
    assert read(headers=chain, reader=reader).client_address == "203.0.113.9"


@pytest.mark.parametrize("value", [b"unknown", b"evil", b"203.0.113.9, x", b"_hidden", b",".join([b"10.0.0.1"] * 40)])
def test_a_trusted_hop_that_forwards_nonsense_is_refused(value: bytes) -> None:
    reader = HeadReader(trusted_hops=prefix_set(("192.0.2.0/24", "10.0.0.0/8")))
    assert code(read(headers=(*HOST, (b"x-forwarded-for", value)), reader=reader)) == "request.forwarded"


def test_forwarded_as_of_rfc_7239() -> None:
    reader = HeadReader(trusted_hops=prefix_set(("192.0.2.0/24",)), forwarded="forwarded")
    value = b'for=1.1.1.1, for="[2001:db8:cafe::17]:4711";proto=https'
    head = read(headers=(*HOST, (b"forwarded", value)), reader=reader, scheme="http")
    assert (head.client_address, head.client_network, head.scheme) == (
        "2001:db8:cafe::17",
        "2001:db8:cafe::/64",
        "https",
    )
    assert code(read(headers=(*HOST, (b"forwarded", b"for=1.1.1.1;for=2.2.2.2")), reader=reader)) == "request.forwarded"


def test_addresses_have_one_spelling() -> None:
    assert read(peer="::ffff:192.0.2.7").client_address == "192.0.2.7"
    assert read(peer="2001:0DB8::0001").client_network == "2001:db8::/64"
    assert read(peer="fe80::1%eth0").client_address == "unknown"


def test_the_trace_goes_on() -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert read(headers=(*HOST, (b"traceparent", trace))).trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert read(headers=(*HOST, (b"traceparent", b"nonsense"))).trace_id == "0" * 32
