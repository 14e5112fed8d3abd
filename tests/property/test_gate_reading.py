"""One canonical reading: what is accepted is forwarded byte for byte, and reads the same a second time."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from gatehouse import ADDRESSES, NOW, House
from sallygate.model.request import RequestHead
from sallygate.parsing.addresses import prefix_set
from sallygate.parsing.http.head import HeadReader

READER = HeadReader()
TRUSTING = HeadReader(prefix_set(("192.0.2.0/24",)))
OPEN = "openapi: none\nidentity: none\nplans: {}\nlimits: {address: 1000000/s burst 1000000}\noperations: {}\ninjection: {mode: off}\n"
SETTINGS = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_plain = st.lists(st.sampled_from([b"/", b"a", b"b.c", b"%c3%a9", b"~", b"=", b"&", b"+", b"%20", b"1"]), max_size=8)
_rare = [b".", b"..", b"%2e", b"%2f", b"%25", b"%00", b"%", b"\\", b";", b"?", b" ", b"\xff", b"%5c", b"//", b"#", b"{",
         b"%zz", b"\t", b"[", b"%c0%af", b"..;", b"/.", b"%2E%2E", b"%252e"]  # fmt: skip
_likely = st.one_of(
    _plain.map(b"".join),
    st.tuples(_plain.map(b"".join), st.sampled_from(_rare), _plain.map(b"".join)).map(b"".join),
)
targets = st.one_of(_likely, _likely.map(lambda raw: b"/" + raw), st.binary(max_size=40))
_pairs = [
    (b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"a=1"), (b"content-length", b"5"), (b"x-forwarded-for", b"192.0.2.7"),
    (b"transfer-encoding", b"chunked"), (b"x-forwarded-for", b"198.51.100.1, 192.0.2.2"), (b"x-forwarded-proto", b"https"),
    (b"x-api-key", b"k"), (b"upgrade", b"websocket"), (b"connection", b"close"), (b"a_b", b""), (b"host", b"b"),
]  # fmt: skip
_pair = st.one_of(
    st.sampled_from(_pairs), st.sampled_from(_pairs), st.tuples(st.binary(max_size=8), st.binary(max_size=20))
)
headers = st.lists(_pair, max_size=4).map(lambda pairs: ((b"host", b"api.example"), *pairs))


def _read(reader: HeadReader, raw_path: bytes, raw_query: bytes, fields: tuple, method: str = "GET") -> RequestHead:
    return reader.read(
        method=method, scheme="https", raw_path=raw_path, raw_query=raw_query, headers=fields, http_version="1.1",
        peer=ADDRESSES[0], request_id="0" * 32, now=NOW,
    )  # fmt: skip


@SETTINGS
@given(targets, targets, headers, st.sampled_from([READER, TRUSTING]))
@example(b"/a/%2e%2e/b", b"", ((b"host", b"a"),), READER)
@example(b"/a%2fb", b"q=%00", ((b"host", b"a"),), READER)
def test_reading_is_total_stable_and_keeps_the_bytes(
    path: bytes, query: bytes, fields: tuple[tuple[bytes, bytes], ...], reader: HeadReader
) -> None:
    head = _read(reader, path, query, fields)
    event("accepted" if head.fault is None else head.fault.code)
    assert head == _read(reader, path, query, fields), "reading again is reading the same"
    assert head.headers == fields
    if head.fault is not None:
        assert 400 <= head.fault.status < 500
        return
    assert head.target == (path + b"?" + query if query else path)
    again = _read(reader, head.raw_path, head.raw_query, head.headers)
    assert (again.segments, again.query, again.fields) == (head.segments, head.query, head.fields)


@SETTINGS
@given(targets, targets)
def test_what_is_accepted_has_one_meaning(path: bytes, query: bytes) -> None:
    head = _read(READER, path, query, ((b"host", b"api.example"),))
    event("accepted" if head.fault is None else "refused")
    if head.fault is not None:
        return
    assert "/".join(head.segments).encode() == unquote_to_bytes(path)[1:], "split before or after decoding: the same"
    decoded = "/".join(head.segments)
    assert not any(part.partition(";")[0] in (".", "..") for part in decoded.split("/"))
    assert not set("\\\x00\r\n\x7f") & set(decoded)
    assert not set(b"\x00\r\n #") & set(path + query)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(targets, targets)
def test_guard_hands_on_the_bytes_it_judged(path: bytes, query: bytes) -> None:
    house = House(OPEN)
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/", "raw_path": path,
        "query_string": query, "headers": [(b"host", b"a")], "client": (ADDRESSES[0], 1), "server": ("a", 443),
        "root_path": "",
    }  # fmt: skip
    passed = house.passes(scope)
    event("passed" if passed else "refused")
    accepted = _read(house.gate.reader, path, query, ((b"host", b"a"),)).fault is None
    assert passed == accepted
    if passed:
        assert house.seen["raw_path"] == path and house.seen["query_string"] == query
