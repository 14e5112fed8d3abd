"""Feeds of every format to the addresses they name, and an account of everything else in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feeds_harness import NOW, attribute, bundle, indicator, ip, misp_event, moment
from sallygate.parsing.indicators import Format, IndicatorError, Reading, Settings, guess_format, read
from sallygate.parsing.indicators.blocks import block_text, blocks_of
from sallygate.parsing.indicators.pattern import PATTERN_CHARS_MAX, Unused, blocks_of_pattern
from sallygate.parsing.indicators.stix import read_envelope, read_objects
from sallygate.parsing.reserved_addresses import is_reserved, is_wholly_reserved

DAY = 86400.0


def reading(data: bytes | str, format: Format, **settings: Any) -> Reading:
    found = Reading()
    read(data.encode() if isinstance(data, str) else data, format, Settings(**settings), found)
    return found


def names(found: Reading) -> list[str]:
    return [block_text(bits, number, length) for bits, number, length, *_ in found.all()]


# one text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("198.51.100.7", ["198.51.100.7"]),
        ("198.51.100.0/24", ["198.51.100.0/24"]),
        ("2001:DB8::7", ["2001:db8::7"]),
        ("2001:db8::/48", ["2001:db8::/48"]),
        ("::ffff:198.51.100.7", ["198.51.100.7"]),
        ("::ffff:198.51.100.0/120", ["198.51.100.0/24"]),
        ("198.51.100.4-198.51.100.9", ["198.51.100.4/30", "198.51.100.8/31"]),
        ("198.51.100.7 - 198.51.100.7", ["198.51.100.7"]),
        ("0.0.0.0-255.255.255.255", ["0.0.0.0/0"]),
        ("2001:db8::-2001:db8::ffff", ["2001:db8::/112"]),
    ],
)
def test_a_text_names_prefixes(text: str, expected: list[str]) -> None:
    assert [block_text(*block) for block in blocks_of(text)] == expected


@pytest.mark.parametrize(
    "text",
    ["", "x", "198.51.100", "198.51.100.256", "198.051.100.7", "198.51.100.7/24", "198.51.100.0/33", "fe80::1%eth0", "1.2.3.4-",
     "198.51.100.9-198.51.100.4", "1.2.3.4-2001:db8::", "١.2.3.4", "1.2.3.4/٢", "1" * 500, "0x7f.1", "3232235777", "-", "/", "/24"],
)  # fmt: skip
def test_what_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^(not an address|not a prefix|a prefix with host bits|a range whose)"
    ) as told:
        blocks_of(text)
    assert len(text) < 4 or text not in str(told.value)


def test_the_largest_range_is_bounded() -> None:
    assert len(blocks_of("0.0.0.1-255.255.255.254")) == 62
    assert len(blocks_of("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")) == 254


@pytest.mark.parametrize(
    ("address", "reserved"),
    [("10.1.2.3", True), ("127.0.0.1", True), ("169.254.169.254", True), ("100.64.0.1", True), ("0.1.2.3", True), ("240.0.0.1", True),
     ("224.0.0.1", True), ("172.31.255.255", True), ("172.32.0.1", False), ("192.168.0.1", True), ("198.18.0.1", True),
     ("192.0.0.1", True), ("192.0.2.1", False), ("8.8.8.8", False), ("203.0.113.1", False), ("::1", True), ("fe80::1", True),
     ("fd00::1", True), ("ff02::1", True), ("2001::1", True), ("2002:7f00:1::", True), ("64:ff9b::a00:1", True), ("2001:db8::1", False),
     ("2a00::1", False)],
)  # fmt: skip
def test_addresses_that_are_nobodys(address: str, reserved: bool) -> None:
    ((bits, number, length),) = blocks_of(address)
    assert is_reserved(bits, number) is reserved and is_wholly_reserved(bits, number, length) is reserved


@pytest.mark.parametrize(
    ("prefix", "whole"),
    [("10.0.0.0/8", True), ("10.0.0.0/7", False), ("0.0.0.0/0", False), ("::/0", False), ("fc00::/7", True), ("2000::/3", False),
     ("127.0.0.0/9", True), ("192.168.0.0/15", False)],
)  # fmt: skip
def test_prefixes_that_hold_nobody(prefix: str, whole: bool) -> None:
    assert is_wholly_reserved(*blocks_of(prefix)[0]) is whole


# lists and tables ----------------------------------------------------------------------------------------------------


def test_a_list_with_every_kind_of_comment() -> None:
    text = "\ufeff# a\r\n; b\n// c\n\n 198.51.100.1 \n198.51.100.0/24 ; SBL1\n198.51.100.2\tfoo\n198.51.100.3#x\n198.51.100.4 - 198.51.100.5 # y\n198.51.100.6,z"
    found = reading(text, "plain", confidence=70)
    assert names(found) == [
        "198.51.100.1",
        "198.51.100.0/24",
        "198.51.100.2",
        "198.51.100.3",
        "198.51.100.4/31",
        "198.51.100.6",
    ]
    assert (found.read, found.bad) == (6, 0) and {entry[5] for entry in found.entries} == {70}
    assert {entry[3:5] for entry in found.entries} == {(0.0, 0.0)}, "of no date and no end of their own"


def test_bad_lines_are_counted_and_the_first_ones_told_by_number_and_never_by_content() -> None:
    bad = ["evil\x1b[31m", "\x00\xff", "1.2.3.4/5", "é", "10.0.0.1%x", "999.1.1.1", "host.example"]
    found = reading("198.51.100.1\n" + "\n".join(bad) + "\n198.51.100.2\n", "plain")
    assert (found.read, found.bad, names(found)) == (9, 7, ["198.51.100.1", "198.51.100.2"])
    assert found.said == [
        "line 2: not an address, prefix or range", "line 3: not an address, prefix or range", "line 4: a prefix with host bits set",
        "line 5: not an address, prefix or range", "line 6: not an address, prefix or range",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf\n"])
def test_an_answer_of_nothing_is_no_list_that_has_become_empty(data: bytes) -> None:
    with pytest.raises(IndicatorError, match="is empty"):
        reading(data, "plain")
    assert names(reading(b"# nothing at present\n", "plain")) == []


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(IndicatorError, match="line 2 is longer than 64 KiB"):
        reading(b"198.51.100.1\n" + b"x" * 100_000, "plain")


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("ip,why\n198.51.100.1,scan\n198.51.100.0/30,x\n", {}, ["198.51.100.1", "198.51.100.0/30"]),
        ("# made today\nfirst_seen;dst_ip;port\n2026;198.51.100.1;443\n", {}, ["198.51.100.1"]),
        ("scan,198.51.100.1\nbots,198.51.100.2\n", {}, ["198.51.100.1", "198.51.100.2"]),
        ('"why","Value"\n"a, b","198.51.100.1"\n', {}, ["198.51.100.1"]),
        ("a\tb\n198.51.100.1\t198.51.100.2\n", {"column": "B"}, ["198.51.100.2"]),
        ("198.51.100.1,198.51.100.2\n", {"column": "2"}, ["198.51.100.2"]),
        ("ip\n198.51.100.1\n", {}, ["198.51.100.1"]),
    ],
)
def test_tables(text: str, settings: dict[str, str], expected: list[str]) -> None:
    found = reading(text, "csv", **settings)
    assert (names(found), found.bad) == (expected, 0)


def test_a_table_with_confidences_and_bad_rows() -> None:
    text = 'ip,score\n198.51.100.1,90\n198.51.100.2,101\n198.51.100.3\n"198.51.100.4,5\nx,5\n198.51.100.5,7\n'
    found = reading(text, "csv", confidence_column="score")
    assert [(block_text(*entry[:3]), entry[5]) for entry in found.entries] == [
        ("198.51.100.1", 90),
        ("198.51.100.5", 7),
    ]
    assert (found.read, found.bad) == (6, 4) and found.said[2] == "line 5: not a record of a table"


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("a,b\n1,2\n", {}, "name one in `column`"),
        ("198.51.100.1,198.51.100.2\n", {}, "several columns hold addresses"),
        ("ip,b\n198.51.100.1,2\n", {"column": "source"}, "no such column as `column` names; it has 2"),
        ("198.51.100.1,2\n", {"column": "3"}, "no such column as `column` names; it has 2, and no header"),
        ("ip,b\n198.51.100.1,2\n", {"confidence_column": "sure"}, "`confidence_column`"),
    ],
)
def test_a_table_whose_columns_are_not_plain_says_what_to_write(text: str, settings: dict[str, str], told: str) -> None:
    with pytest.raises(IndicatorError, match=told):
        reading(text, "csv", **settings)


# STIX ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '198.51.100.7']", ["198.51.100.7"]),
        ("[ ipv4-addr:value='198.51.100.7'OR ipv6-addr:value = '2001:db8::7' ]", ["198.51.100.7", "2001:db8::7"]),
        ("[ipv4-addr:value = '198.51.100.7'] OR [ipv4-addr:value = '198.51.100.8']", ["198.51.100.7", "198.51.100.8"]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", ["198.51.100.0/24"]),
        ("[ipv4-addr:value = '198.51.100.0/24']", ["198.51.100.0/24"]),
        ("[ipv4-addr:value IN ('198.51.100.7','198.51.100.8')]", ["198.51.100.7", "198.51.100.8"]),
        ("[network-traffic:dst_ref.value = '198.51.100.7']", ["198.51.100.7"]),
        ("[domain-name:value = 'a.example' OR ipv4-addr:value = '198.51.100.7']", ["198.51.100.7"]),
        ("[file:hashes.'SHA-256' = 'aa' OR ipv4-addr:value = '198.51.100.7']", ["198.51.100.7"]),
        ("[file:size > 5 OR ipv4-addr:value = '198.51.100.7']", ["198.51.100.7"]),
    ],
)
def test_patterns_that_name_addresses(pattern: str, expected: list[str]) -> None:
    assert [block_text(*block) for block in blocks_of_pattern(pattern)] == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[domain-name:value = 'a.example']", "pattern: no address"),
        ("[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 22]", "pattern: AND"),
        ("[ipv4-addr:value = '198.51.100.7'] AND [ipv4-addr:value = '198.51.100.8']", "pattern: AND"),
        ("[ipv4-addr:value = '198.51.100.7'] FOLLOWEDBY [url:value = 'x']", "pattern: FOLLOWEDBY"),
        ("[ipv4-addr:value = '198.51.100.7'] REPEATS 5 TIMES", "pattern: REPEATS"),
        ("[ipv4-addr:value = '198.51.100.7'] WITHIN 5 SECONDS", "pattern: WITHIN"),
        ("[NOT ipv4-addr:value = '198.51.100.7']", "pattern: NOT"),
        ("[ipv4-addr:value != '198.51.100.7']", "pattern: another operator"),
        ("[ipv4-addr:value LIKE '198.51.%']", "pattern: another operator"),
        ("[ipv4-addr:value MATCHES '.*']", "pattern: another operator"),
        ("[ipv4-addr:value ISSUPERSET '198.51.100.0/24']", "pattern: another operator"),
        ("([ipv4-addr:value = '198.51.100.7'])", "pattern: parentheses"),
        ("[file:created = t'2026-01-01T00:00:00Z']", "pattern: another constant"),
    ],
)
def test_patterns_that_ask_for_more_are_not_used(pattern: str, reason: str) -> None:
    with pytest.raises(Unused, match=f"^{reason}$"):
        blocks_of_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["", "x", "[", "[]", "[ipv4-addr:value]", "[ipv4-addr:value = ]", "[ipv4-addr:value = 'x']", "[ipv4-addr:value = '198.51.100.7'",
     "[ipv4-addr:value = '198.51.100.7'] [ipv4-addr:value = '198.51.100.7']", "[ipv4-addr:value IN ('198.51.100.7'", "'" * 99,
     "[ipv4-addr:value = '198.51.100.7' XOR ipv4-addr:value = '198.51.100.7']", "[ipv4-addr:value = '198.51.100.7\\']"],
)  # fmt: skip
def test_what_is_no_pattern_is_bad(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|address"):
        blocks_of_pattern(pattern)


@pytest.mark.parametrize(
    "bomb", ["[" * 60_000, "'" + "\\'" * 30_000, "[ipv4-addr:value = '198.51.100.7' OR " * 1500, "(" * 60_000, "a-" * 30_000, " " * 60_000, "x" * (PATTERN_CHARS_MAX + 1)]
)  # fmt: skip
def test_pattern_bombs_are_read_in_one_pass(bomb: str) -> None:
    with pytest.raises((ValueError, Unused)):
        blocks_of_pattern(bomb)


def test_a_bundle_and_what_of_it_is_not_used() -> None:
    found = reading(
        bundle(
            indicator(ip("198.51.100.1"), NOW - DAY, confidence=85, valid_until=moment(NOW + DAY)),
            indicator(ip("198.51.100.2"), NOW - DAY, confidence=0),
            indicator(ip("198.51.100.3"), revoked=True),
            indicator(ip("198.51.100.4"), indicator_types=["benign"]),
            indicator("alert tcp any", pattern_type="snort"),
            indicator("[domain-name:value = 'a.example']"),
            {"type": "ipv4-addr", "id": "ipv4-addr--x", "value": "198.51.100.5"},
            {"type": "x-\x1b[31mown", "pattern": ["of another shape"]},
            indicator("rubbish"),
            {"type": "indicator", "id": 5},
            {"no": "type"},
            indicator(ip("198.51.100.6"), confidence=1000),
            indicator(ip("198.51.100.7"), valid_from="2026-01-01T00:00:00"),
        ),
        "stix",
        confidence=40,
        expiry_s=10 * DAY,
    )
    at = NOW - DAY
    assert found.all() == [
        (32, 0xC6336401, 32, at, NOW + DAY, 85),
        (32, 0xC6336402, 32, at, at + 10 * DAY, 40),
    ]
    assert found.unused == {
        "revoked": 1, "benign": 1, "pattern: another language": 1, "pattern: no address": 1, "object: ipv4-addr": 1,
        "object: another type": 1,
    }  # fmt: skip
    assert (found.read, found.bad) == (13, 5) and found.said[
        0
    ] == "/objects/8: not a pattern: an observation begins with ["


def test_the_latest_version_of_an_object_counts_in_whatever_order() -> None:
    old, new = indicator(ip("198.51.100.1"), NOW - DAY, number=5), indicator(ip("198.51.100.2"), NOW, number=5)
    assert names(reading(bundle(old, new), "stix")) == names(reading(bundle(new, old), "stix")) == ["198.51.100.2"]
    gone = indicator(ip("198.51.100.1"), NOW, number=5, revoked=True)
    assert names(reading(bundle(gone, old), "stix")) == []


def test_an_envelope_of_taxii() -> None:
    data = json.dumps({"more": True, "next": "n", "objects": [indicator(ip("198.51.100.1"))]}).encode()
    envelope, found = read_envelope(data), Reading()
    read_objects(envelope, Settings(), found)
    assert (envelope.more, envelope.next, names(found)) == (True, "n", ["198.51.100.1"])
    assert read_envelope(b"{}").objects == []


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{",
        b'{"type":"bundle","objects":{}}',
        b"\xff\xfe",
        b'{"a":' * 5000,
        b"null",
        b'{"type":"report"}',
        b"{}",
        b'{"objects":[{]}',
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(IndicatorError, match="STIX"):
        reading(data, "stix")


# MISP ----------------------------------------------------------------------------------------------------------------


def test_an_event_and_its_objects() -> None:
    event = misp_event(
        attribute(
            "198.51.100.1",
            Tag=[{"name": 'misp:confidence-level="usually-confident"'}],
            first_seen="2026-01-01T00:00:00+00:00",
        ),
        attribute("198.51.100.2|443", "ip-dst|port"),
        attribute("2001:db8::7|22", "ip-src|port"),
        attribute("198.51.100.0/24", "ip-dst"),
        attribute("198.51.100.4", to_ids=False),
        attribute("198.51.100.5", deleted=True),
        attribute("evil.example", "domain"),
        attribute("evil"),
        attribute("198.51.100.6", timestamp="x"),
    )
    event["Event"]["Object"] = [
        {"Attribute": [attribute("198.51.100.8")]},
        {"deleted": True, "Attribute": [attribute("198.51.100.9")]},
    ]
    found = reading(json.dumps(event), "misp", expiry_s=5 * DAY)
    assert names(found) == ["198.51.100.1", "198.51.100.2", "2001:db8::7", "198.51.100.0/24", "198.51.100.8"]
    assert found.all()[0][3:] == (1767225600.0, NOW - DAY + 5 * DAY, 75)
    assert found.unused == {"not for detection (`to_ids`)": 1, "deleted": 2, "attribute: another type": 1}
    assert (found.read, found.bad) == (11, 2) and found.said[0].startswith("/Event/Attribute/7: ")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda event: event,
        lambda event: {"response": [event]},
        lambda event: [event],
        lambda event: {"response": {"Attribute": event["Event"]["Attribute"]}},
        lambda event: {"Attribute": event["Event"]["Attribute"]},
    ],
)
def test_exports_of_every_shape(wrap: Any) -> None:
    assert names(reading(json.dumps(wrap(misp_event(attribute("198.51.100.1")))), "misp")) == ["198.51.100.1"]


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"{", b"null", b'{"Event":[]}', b'{"response":5}', b"\xff", b'{"a":' * 5000, b'{"response":{}}'],
)
def test_what_is_no_export_is_refused_or_bad(data: bytes) -> None:
    try:
        found = reading(data, "misp")
    except IndicatorError as error:
        assert "MISP" in str(error)
    else:
        assert names(found) == []


# all of them ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ],
)
@pytest.mark.parametrize("format", ["plain", "csv", "stix", "misp"])
def test_archives_are_not_opened(data: bytes, what: str, format: Format) -> None:
    with pytest.raises(IndicatorError, match=what):
        reading(data * 100, format)


@pytest.mark.parametrize(
    ("name", "data", "format"),
    [("a.csv", b"", "csv"), ("a.TXT", b"", "plain"), ("drop.netset", b"", "plain"), ("a.stix.json", b'{"x":1}', "stix"),
     ("a.json", b' {"type": "bundle"', "stix"), ("a", b'{"Event": {', "misp"), ("a", b'[{"Event": {', "misp"), ("a", b"1.2.3.4", None),
     ("a.json", b"{}", None)],
)  # fmt: skip
def test_a_format_is_told_where_it_is_plain(name: str, data: bytes, format: Format | None) -> None:
    assert guess_format(name, data) == format


def test_more_indicators_than_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sallygate.parsing.indicators.reading.INDICATORS_MAX", 3)
    assert len(reading("1.1.1.1\n1.1.1.2\n1.1.1.3\n", "plain").all()) == 3
    with pytest.raises(IndicatorError, match="more than 3 indicators"):
        reading("1.1.1.1\n1.1.1.2\n1.1.1.3\n1.1.1.4\n", "plain")
    many = "[ipv4-addr:value IN ('1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4')]"
    with pytest.raises(IndicatorError, match="more than 3 indicators"):
        reading(bundle(indicator(many)), "stix").all()
