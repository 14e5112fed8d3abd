"""Bodies that are larger than `inspect` and inspected in a file: what is found wherever it stands, and what passes."""

from __future__ import annotations

import io
import json
import random
import string
from pathlib import Path

import pytest

from injection_harness import SQL, XSS, post, request, said, verdict
from sallygate.controls.injection.pipeline.spooled_bodies import PIECE_BYTES, TEXT_LONG, spooled_values
from sallygate.model.request import BodyKind
from sallygate.offline.recordings import Recorded
from support import Upstream, running_gateway, write_policy

SPOOL = "inspect: 64KiB, uninspected: spool"
CHANCE = random.Random(7)
WORDS = ["".join(CHANCE.choices(string.ascii_lowercase, k=CHANCE.randint(2, 9))) for _ in range(500)]


def texts(data: bytes, kind: BodyKind = "json", media: str = "application/json") -> list[str]:
    return [value.text for values in spooled_values(io.BytesIO(data), kind, media) for value in values]


def prose(characters: int) -> str:
    return " ".join(CHANCE.choices(WORDS, k=characters // 6))


@pytest.mark.parametrize("before", [0, 60_000, PIECE_BYTES - 20, PIECE_BYTES - 3, PIECE_BYTES * 2 + 17, 900_000])
@pytest.mark.parametrize("attack", [SQL, XSS, "\u2028' union select a,b from users-- "])
def test_an_attack_is_found_wherever_it_stands(before: int, attack: str) -> None:
    value = {"rows": [{"note": prose(500)} for _ in range(before // 500)], "x": attack, "more": prose(300_000)}
    assert said(post(json.dumps(value)), SPOOL) != []
    value["x"] = "fine"
    assert said(post(json.dumps(value)), SPOOL) == []


@pytest.mark.parametrize("at", [0, TEXT_LONG - 10, PIECE_BYTES + 5, 299_990])
def test_an_attack_within_one_long_string(at: int) -> None:
    text = prose(300_000)
    assert said(post(json.dumps({"x": text})), SPOOL) == []
    assert said(post(json.dumps({"x": f"{text[:at]} {SQL} {text[at:]}"})), SPOOL) != []


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (
            "application/x-ndjson",
            "\n".join(json.dumps({"n": n, "text": prose(300)}) for n in range(600)) + '\n{"q": "%s"}\n',
        ),
        ("application/x-www-form-urlencoded", "a=" + "b" * 200_000 + "&q=%s&c=" + "d" * 100_000),
        ("text/plain", prose(200_000) + "\n%s\n" + prose(200_000)),
        ("application/xml", "<a>" + f"<b>{prose(200)}</b>" * 900 + "<c>%s</c></a>"),
        ("application/json", json.dumps({"a": prose(200_000)})[:-1] + ', "b": %s}'),
        ("application/json", prose(200_000) + " %s"),
    ],
)
def test_every_kind_of_text_is_read(media: str, body: str) -> None:
    attack = "1'+union+select+a,b+from+users--+" if "form" in media else "1' union select a,b from users-- "
    assert said(post(body % attack, media), SPOOL) != []
    assert said(post(body % "17", media), SPOOL) == []


@pytest.mark.parametrize("body", [b'["' + b'\\"' * 400_000, b'"' * 500_000, b'"\\' * 300_000, b'{"a":' * 100_000])
def test_reading_is_linear(body: bytes) -> None:
    assert texts(body)


@pytest.mark.parametrize("before", range(0, 60, 7))
def test_an_attack_across_a_border_of_what_is_no_json(before: int) -> None:
    body = "{a:'" + "x " * ((PIECE_BYTES - before) // 2) + SQL + "'}"
    assert said(post(body), SPOOL) != []


def test_a_small_body_without_a_length_is_read_as_strictly() -> None:
    head = ((b"host", b"a.example"), (b"content-type", b"application/json"), (b"transfer-encoding", b"chunked"))
    found = verdict(Recorded("POST", "https", b"/", b"", head, b'{"a":"x","a":"y"}', "192.0.2.7"), SPOOL).decision
    assert found.reasons == ("body.json",)


def test_names_are_read_as_names() -> None:
    padding = {"p": prose(200_000)}
    assert said(post(json.dumps({**padding, "user": {"$ne": 1}})), SPOOL) == ["nosql body:"]


def test_strings_are_unescaped_and_none_is_lost() -> None:
    value = {f"name {n}": f'quo"te \\ {n} \u00e9\n' for n in range(20_000)}
    data = json.dumps(value).encode()
    found = texts(data)
    assert set(value) <= set(found) and set(value.values()) <= set(found) and len(data) > 4 * PIECE_BYTES


def test_pieces_overlap_where_a_text_is_cut() -> None:
    for at in range(PIECE_BYTES - 8, PIECE_BYTES + 3):
        whole = "a" * at + "MARK-ER" + "b" * 1000
        assert any("MARK-ER" in text for text in texts(whole.encode(), "text", "text/plain"))


def test_a_small_body_is_read_as_before() -> None:
    assert said(post(json.dumps({"a": SQL})), SPOOL) == ["sql body:/a"]


def test_what_cannot_be_read_in_pieces_is_refused() -> None:
    body = b"x" * 100_000
    coded = post(body, "application/json", (b"content-encoding", b"gzip"))
    assert verdict(coded, SPOOL).status == 415
    charset = post(body, "text/plain; charset=utf-7")
    assert said(charset, SPOOL) == ["charset header:content-type"]


def test_a_body_above_the_limit_of_all_bodies_is_refused() -> None:
    found = verdict(post("x" * 300_000, "text/plain"), SPOOL, "limits: {body: 200KB}\n").decision.findings
    assert [(one.code, one.rule) for one in found] == [("limits.body_size", "limits.body")]


def test_the_api_gets_the_body_as_it_came_after_it_was_inspected(tmp_path: Path) -> None:
    section = f"openapi: none\nidentity: none\nplans: {{}}\noperations: {{}}\ninjection: {{{SPOOL}}}\n"
    with Upstream() as upstream:
        policy = write_policy(tmp_path, section, upstream=upstream.url)
        with running_gateway(policy) as running:
            honest = json.dumps({"a": prose(900_000)}).encode()
            given = {"method": "POST", "Content_Type": "application/json"}
            assert running.get("/a", body=honest, **given)[0] == 200
            assert (
                running.code("/a", body=honest[:-2] + b'", "b": "<script>alert(1)</script>"}', **given)
                == "injection.xss"
            )
        assert [one.body for one in upstream.received] == [honest]


def test_a_request_without_a_body_is_not_changed() -> None:
    assert said(request("/", "q=1"), SPOOL) == []
