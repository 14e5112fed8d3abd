"""Recorded requests: JSON lines, raw messages, curl lines; and what a replay makes of them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from sallygate.offline.decide import Offline
from sallygate.offline.recordings import UnreadableRequest, from_json, from_text
from sallygate.offline.replay import open_recorded, replay
from support import make_key, write_policy


def test_a_line_of_json() -> None:
    record = from_json(
        {"method": "POST", "url": "https://api.example/a%20b?x=1#f", "headers": {"X-A": ["1", "2"], ":path": "/"},
         "body": "é", "client": "203.0.113.9", "time": "2026-01-01T00:00:00Z"}
    )  # fmt: skip
    assert (record.raw_path, record.raw_query, record.body) == (b"/a%20b", b"x=1", "é".encode())
    assert (b"host", b"api.example") in record.headers and (b"content-length", b"2") in record.headers
    assert [value for name, value in record.headers if name == b"x-a"] == [b"1", b"2"]
    assert record.at == 1767225600.0
    assert from_json({"url": "/x", "body_base64": "AAE="}).body == b"\x00\x01"


def test_what_is_ambiguous_as_recorded_stays_so() -> None:
    both = from_json({"url": "/", "headers": [["Content-Length", "3"], ["Content-Length", "4"]], "body": "abc"})
    assert [value for name, value in both.headers if name == b"content-length"] == [b"3", b"4"]
    smuggled = from_json({"url": "/", "headers": [["Content-Length", "3"], ["Transfer-Encoding", "chunked"]]})
    assert {b"content-length", b"transfer-encoding"} <= {name for name, _ in smuggled.headers}


@pytest.mark.parametrize(
    "bad",
    [[], {"url": 1}, {"url": "/", "body": 5}, {"url": "/", "body_base64": "!"}, {"url": "/", "headers": "x"},
     {"url": "/", "client": 1}, {"url": "/", "time": "noon"}, {"url": "/", "headers": [["a"]]}],
)  # fmt: skip
def test_records_that_are_no_requests(bad) -> None:
    with pytest.raises(UnreadableRequest):
        from_json(bad)


def test_a_raw_message() -> None:
    record = from_text(b'POST /things?a=1 HTTP/1.1\nHost: api\nContent-Type: application/json\n\n{"a":1}\n')
    assert (record.method, record.raw_path, record.raw_query, record.body) == ("POST", b"/things", b"a=1", b'{"a":1}')
    with pytest.raises(UnreadableRequest, match="line 1"):
        from_text(b"hello\n")
    with pytest.raises(UnreadableRequest, match="line 3"):
        from_text(b"GET / HTTP/1.1\nHost: a\nnonsense\n\n")


@pytest.mark.parametrize(
    ("line", "method", "path", "body"),
    [
        ("curl https://h/a?b=c", "GET", b"/a", b""),
        ("$ curl -k -X DELETE 'https://h/a'", "DELETE", b"/a", b""),
        ("curl -d a=1 -d b=2 https://h/a", "POST", b"/a", b"a=1&b=2"),
        ("curl --json '{\"a\": 1}' --url=https://h/a", "POST", b"/a", b'{"a": 1}'),
        ("curl -G -d q=1 https://h/a", "GET", b"/a", b""),
        ("curl -I https://h/a", "HEAD", b"/a", b""),
        ("curl \\\n -H 'X-API-Key: k' \\\n h/a", "GET", b"/a", b""),
    ],
)
def test_curl_lines(line: str, method: str, path: bytes, body: bytes) -> None:
    record = from_text(line.encode())
    assert (record.method, record.raw_path, record.body) == (method, path, body)


@pytest.mark.parametrize(
    "line", ["curl", "curl -F a=b https://h", "curl 'https://h", "curl -X", "curl -d @file https://h"]
)
def test_curl_lines_that_are_not_understood(line: str) -> None:
    with pytest.raises(UnreadableRequest):
        from_text(f"{line} ".encode())


def lines(*records: object) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def test_a_replay_keeps_order_and_members(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    key = make_key(policy)
    headers = {"X-API-Key": key, "Host": "a"}
    out: list[bytes] = []
    summary = replay(
        Offline(policy),
        lines(
            {"url": "/things?limit=3", "headers": headers, "label": "benign"},
            {"url": "/things", "headers": {}, "n": 2},
            {"url": "/things", "method": "PUT", "headers": headers},
            "nonsense",
            {
                "url": "/things",
                "method": "POST",
                "headers": {**headers, "Content-Type": "application/json"},
                "body": "{",
            },
        ),
        out.append,
        lambda _: None,
    )
    got = [json.loads(line) for line in out]
    assert [(one["decision"], one["status"]) for one in got] == [
        ("allow", 200), ("deny", 401), ("deny", 405), ("deny", 400), ("deny", 400),
    ]  # fmt: skip
    assert got[0]["label"] == "benign" and got[0]["us"] > 0 and got[1]["n"] == 2
    assert got[1]["reasons"] == ["identity.missing"] and "line 4" in got[3]["error"]
    assert (summary.requests, summary.unreadable) == (5, 1)


def test_a_replay_needs_only_what_its_policy_names(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("version: 1\n")
    out: list[bytes] = []
    many = [{"url": f"http://any.example/{n}?q=%41", "method": "PURGE"} for n in range(3000)]
    replay(Offline(policy), lines(*many), out.append, lambda _: None)
    assert {json.loads(line)["decision"] for line in out} == {"allow"}
    assert not (tmp_path / ".sallygate").exists(), "a replay writes nothing"


def test_limits_move_with_recorded_time(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    key = make_key(policy, "small")
    records = [
        {"url": "/things", "headers": {"X-API-Key": key}, "time": 1_790_000_000 + second} for second in range(30)
    ]
    still = [{**record, "time": 1_790_000_000} for record in records]
    for given, allowed in ((records, 30), (still, 5)):
        out: list[bytes] = []
        replay(Offline(policy), lines(*given), out.append, lambda _: None)
        assert sum(json.loads(line)["decision"] == "allow" for line in out) == allowed


def test_the_same_file_gives_the_same_decisions(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    key = make_key(policy, "small")
    records = [{"url": f"/things?limit={n - 2}", "headers": {"X-API-Key": key}, "time": 1e9 + n / 7} for n in range(40)]
    runs = []
    for _ in range(2):
        out: list[bytes] = []
        replay(Offline(policy), lines(*records), out.append, lambda _: None)
        runs.append([{**json.loads(line), "us": 0} for line in out])
    assert runs[0] == runs[1]


def test_gzipped_files_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"line\n"))
    (tmp_path / "a").write_bytes(b"line\n")
    for name in ("a", "a.gz"):
        with open_recorded(tmp_path / name) as (plain, _):
            assert plain.read() == b"line\n"
