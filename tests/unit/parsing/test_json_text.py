"""JSON is read in one way, and what has two is refused with the reason."""

from __future__ import annotations

import os
import sys
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from sallygate.parsing.json_text import JsonError, parse_json

DATA = Path(os.environ.get("SALLYGATE_DATA", Path(__file__).parents[4] / "shared" / "data"))
SUITE = DATA / "http" / "json_parsing.tar.gz"

READ = [
    (b"null", None), (b" true\n", True), (b"0", 0), (b"-0", 0), (b"1.5e3", 1500.0), (b"1E2", 100.0), (b'"\\u00e9\xc3\xa9"', "éé"),
    (b'"\\ud83d\\ude00"', "\U0001f600"), (b"[]", []), (b"{}", {}), (b'{"a":{"a":1}}', {"a": {"a": 1}}),
    (b'{"a":"x:y","b":":"}', {"a": "x:y", "b": ":"}), (b'[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
    (b'{"at":"10:30","\\"a\\":":1}', {"at": "10:30", '"a":': 1}), (b"9" * 308, int("9" * 308)),
    (b'"' + b"9" * 400 + b'"', "9" * 400), (b"1e-400", 0.0), (b'"\x7f"', "\x7f"), (b"18446744073709551616", 2**64),
]  # fmt: skip

REFUSED = [
    (b"", "empty"), (b"  ", "empty"), (b"\xef\xbb\xbf{}", "bom"), (b"\xff\xfe1\x00", "bom"), (b'{"a":1,"a":1}', "duplicate"),
    (b'{"a":1,"\\u0061":2}', "duplicate"), (b'{"x":{"a":1,"b":":","a":2}}', "duplicate"), (b'[{"":0,"":1}]', "duplicate"),
    (b'{"a":":","a":1}', "duplicate"), (b'{"a:":1,"a:":2}', "duplicate"), (b'{"\\\\":":\\"","\\\\":1}', "duplicate"),
    (b"NaN", "syntax"), (b"Infinity", "syntax"), (b"-Infinity", "syntax"), (b"[1,]", "syntax"), (b"{'a':1}", "syntax"),
    (b"01", "syntax"), (b"+1", "syntax"), (b".5", "syntax"), (b"1.", "syntax"), (b"0x10", "syntax"), (b"1 2", "syntax"),
    (b"// a\n1", "syntax"), (b"1e400", "number"), (b"-1e400", "number"), (b"9" * 309, "number"), (b"9" * 5000, "number"),
    (b'{"a":' + b"1" * 400 + b'}', "number"), (b"0." + b"1" * 400, "number"), (b'"\\ud800"', "syntax"), (b'"\\ud800\\u0041"', "surrogate"),
    (b'"\\udc00"', "surrogate"), (b'"\xed\xa0\x80"', "utf8"), (b'"\xff"', "utf8"), (b'"\xc0\xaf"', "utf8"),
    (b'"\n"', "syntax"), (b'"\x00"', "syntax"), (b'"\\x41"', "syntax"), (b"\x00", "syntax"), (b"[" * 33 + b"]" * 33, "depth"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "depth"), (b"[" * 100_000, "depth"), (b'[{"":' * 50_000, "depth"),
]  # fmt: skip


@pytest.mark.parametrize("data, value", READ, ids=range(len(READ)))
def test_json_is_read(data: bytes, value: object) -> None:
    read = parse_json(data)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize("data, code", REFUSED, ids=range(len(REFUSED)))
def test_what_reads_two_ways_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(JsonError) as caught:
        parse_json(data)
    assert (caught.value.code, caught.value.status) == (f"json.{code}", 400)


def test_depth_is_counted_exactly() -> None:
    parse_json(b"[" * 32 + b"]" * 32)
    parse_json(b'{"a":[' * 16 + b"]}" * 16)
    parse_json(b"[" * 40 + b"]" * 40, depth_max=40)
    with pytest.raises(JsonError):
        parse_json(b"[[]]", depth_max=1)


def test_depth_does_not_hang_on_the_callers_own() -> None:
    def deep(levels: int) -> object:
        return deep(levels - 1) if levels else parse_json(b"[" * 32 + b"]" * 32)

    assert deep(sys.getrecursionlimit() // 2)


def test_the_detail_never_holds_the_value() -> None:
    for data, _ in REFUSED:
        with pytest.raises(JsonError) as caught:
            parse_json(data.replace(b"1", b"s3cret"))
        assert "s3cret" not in str(caught.value)


def test_hostile_megabytes_take_memory_in_proportion() -> None:
    for data in (
        b"[" + b"1," * 300_000 + b"1]",
        b'{"a":"' + b":" * 1_000_000 + b'"}',
        b'"' + b"\\\\" * 500_000 + b'"',
        b"[" + b'"\\"",' * 200_000 + b"0]",
    ):
        tracemalloc.start()
        parse_json(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * len(data)


@pytest.mark.skipif(not SUITE.exists(), reason="the JSONTestSuite is not there; SALLYGATE_DATA names its directory")
def test_the_json_test_suite() -> None:
    counted = {"y": 0, "n": 0, "i": 0}
    wrong = []
    with tarfile.open(SUITE) as archive:
        for member in archive:
            name = Path(member.name).name
            if not member.isfile() or name[:2] not in ("y_", "n_", "i_") or not name.endswith(".json"):
                continue
            counted[name[0]] += 1
            file = archive.extractfile(member)
            assert file is not None
            try:
                parse_json(file.read())
                accepted = True
            except JsonError:
                accepted = False
            wanted = name.startswith("y_") and "duplicated_key" not in name
            if name[0] != "i" and accepted != wanted:
                wrong.append(name)
    assert wrong == []
    assert (counted["y"], counted["n"]) == (95, 188)
