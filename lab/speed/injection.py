"""Section `injection`: what the detector adds to a request, and the most a hostile body can cost."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

from lab.speed.figures import Advance, Section, quantile
from sallygate.controls.injection import InjectionControl, compile_patterns
from sallygate.controls.injection.judges.registry import make_prefilter
from sallygate.controls.injection.pipeline.inspected_bodies import read_body
from sallygate.model.request import EMPTY_BODY, Body, BodyKind, BodyPlan, RequestHead
from sallygate.parsing.http.body import BodyLimits
from sallygate.parsing.http.head import HeadReader
from sallygate.policy.injection import Injection

ROUNDS = 5
REQUESTS = 5000
STEPS = ROUNDS + 1
GET_US, POST_US, MIB_MS, LOAD_MS = 25.0, 60.0, 150.0, 100.0
HOSTILE_ROUNDS = 3
HOSTILE_BYTES = 250 * 1024
ALL = BodyLimits(form_pairs_max=HOSTILE_BYTES, parts_max=HOSTILE_BYTES)
"""Just below the default inspection limit."""

_HEADERS = (
    (b"host", b"api.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"accept", b"application/json, text/plain, */*"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"referer", b"https://app.example/orders?page=2&sort=asc"),
    (b"origin", b"https://app.example"),
    (b"connection", b"keep-alive"),
    (b"x-requested-with", b"XMLHttpRequest"),
    (b"x-client-version", b"4.12.0"),
    (b"cache-control", b"no-cache"),
)
"""Twelve with the cookies, as a browser's script sends them."""
_FIELDS = {
    "name": "Ada Lovelace", "street": "12 St James's Square", "city": "London", "country": "GB", "email": "ada@example.org",
    "phone": "+44 20 7946 0000", "note": "Please ring twice; the bell is broken.", "reference": "PO-2026/11-0042",
    "color": "deep blue", "comment": "Fits well, and looks better than in the picture!",
}  # fmt: skip
_WORST = {
    "quotes": "' or ", "comments": "/**/", "union": "union select ", "tags": "<a b=c>", "handlers": " onx=y ", "script": "alert(1",
    "climbs": "../", "encoded climbs": "%2e%2e/", "files": "/etc/a ", "separators": ";ls -", "substitutions": "$(id ", "back quotes": "`id ",
    "braces": "{{a.b", "php": "$_a(", "entities": "&lt;a", "escapes": "\\x3c", "percent": "%253c", "lookups": "${a:", "filters": "*)(a=",
    "axes": "child::a", "graphql": "{a ", "json": '{"$a":', "base64": "PHNjcmlwdD4 ", "lines": "\r\nTo: a", "entity": "<!ENTITY ",
    "full width": "\uff1c", "letters": "a", "calls": "or f(a) ", "plus": "a'+or+1+and+select+x+union+", "styled tags": "<a href=b style=c>",
    "quoted tags": "<b on=1><i class='x' id=\"y\">", "attributes": "<a " + "b=c " * 300 + ">", "overlong": "%c0%ae", "numbers": "&#60;",
    "all encodings": "&lt;%3c\\x3c\uff1c ", "nested encodings": "%2526%255cx26lt;", "deep percent": "%25252525253c", "line breaks": "\\n ",
    "prose": "He said that it isn't over yet, and 'nobody' or nothing would change it; we select the best from the union of all. ",
    "pages": "<p class=\"a\">Some <b>bold</b> text &amp; a <a href=\"/x/y.html?a=1&amp;b=2\" title=\"it's\">link</a> or two.</p>\n",
    "program": "def f(a, b):\n    x = {'k': a['b'] or None}\n    return '%s/%d' % (os.path.join('..', a), b) if x else `id`  # done\n",
    "script program": "window.a = function (b) { return b.map((c) => `${c.id}:${c['name']}`).join('; ') || document.title; };\n",
    "statements": "select a.id, b.name from orders a join things b on a.id = b.order_id where a.total > 10 and b.name like 'x%' order by 1;\n",
    "documents": "{\"a\": {\"$b\": \"it's \\u0041 or 1\", \"c\": [1, 2, \"../x\"]}}, ",
    "script words": "alert prompt settimeout function atob document location window [] ` throw fetch new with constructor innerhtml " + "lorem ipsum " * 40,
}  # fmt: skip
"""A unit of each family's most expensive shape, repeated; and of texts that are none, expensive to distinguish from them."""
_SHORT = {
    "quotes": "' or", "words": "a' or b", "sentences": "it's 'a' or b (c) and d", "tags": "<b", "attributes": "<a b=c>", "entities": "x&",
    "encodings": "&lt;%3c\\x3c\uff1c", "steps": "a/../b c",
}  # fmt: skip
"""Short strings, of which a body has tens of thousands."""


def run(directory: Path, advance: Advance) -> Section:
    section = Section("injection")
    control = InjectionControl(Injection())
    post = _head("POST", b"/things", b"")
    spent: dict[str, list[list[float]]] = {"GET": [], "POST": []}
    for number in range(ROUNDS):
        spent["GET"].append(_timed(control, _gets(number)))
        spent["POST"].append(_timed(control, _posts(number)))
        advance(f"injection, round {number + 1} of {ROUNDS}")
    section.add(
        "GET, two parameters, twelve headers, added", "µs", [quantile(one, 0.5) for one in spent["GET"]], GET_US
    )
    section.add(
        "JSON POST, ten strings, twelve headers, added", "µs", [quantile(one, 0.5) for one in spent["POST"]], POST_US
    )
    _worst(section, control, post)
    compiled = compile_patterns()
    loads = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        make_prefilter(compiled)
        loads.append((time.perf_counter() - before) * 1000)
    section.add("compiled patterns, loaded", "ms", loads, LOAD_MS)
    advance("injection, hostile bodies")
    return section


def _worst(section: Section, control: InjectionControl, head: RequestHead) -> None:
    """Each shape as one text and as one JSON string, and short ones as the strings and the names of a document; the least
    of some runs of each, and the most expensive of them is the figure."""
    costs: dict[str, float] = {}
    for name, shape in _shapes(head):
        spent = []
        for _ in range(HOSTILE_ROUNDS):
            before = time.perf_counter()
            control.judge("", head, shape)
            spent.append((time.perf_counter() - before) * 1000 * (1 << 20) / HOSTILE_BYTES)
        costs[name] = max(costs.get(name, 0.0), min(spent))
    ordered = sorted(costs.items(), key=lambda pair: -pair[1])
    section.add("hostile body, the most expensive shape, a MiB", "ms", [ordered[0][1]], MIB_MS, note=ordered[0][0])
    section.add("hostile body, the median shape, a MiB", "ms", [ordered[len(ordered) // 2][1]])
    section.notes.append(
        "Most expensive shapes: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in ordered[:6]) + " a MiB."
    )


def _shapes(head: RequestHead) -> Iterator[tuple[str, Body]]:
    for name, unit in _WORST.items():
        text = unit * (HOSTILE_BYTES // len(unit.encode()))
        plan = BodyPlan("whole", "text", HOSTILE_BYTES, "text/plain")
        whole = read_body(head, plan, text.encode(), ALL)
        assert isinstance(whole, Body)
        yield name, whole
        yield name, _document({"a": unit * (HOSTILE_BYTES // (len(_json(unit)) - 2))})
    for name, unit in _SHORT.items():
        count = HOSTILE_BYTES // (len(_json(unit)) + 8)
        yield f"short {name}", _document([unit] * (HOSTILE_BYTES // (len(_json(unit)) + 1)))
        yield f"short {name}", _document({f"{unit}{number}": 1 for number in range(count)})

    yield from _rows(head)


def _rows(head: RequestHead) -> Iterator[tuple[str, Body]]:
    """Tens of thousands of values of which one alone has to be looked at."""
    told, most = "it's 'a' or b", HOSTILE_BYTES - 60
    yield "one among elements", _document([*["ab"] * (most // 5), told])
    yield "one among members", _document({**{f"ab{number}": "x y" for number in range(most // 15)}, "z": told})
    yield (
        "one among elements in a string",
        _document({"a": json.dumps([*["ab"] * (most // 7), told], separators=(",", ":"))}),
    )
    bodies: tuple[tuple[str, BodyKind, str, str], ...] = (
        ("one among pairs", "form", "application/x-www-form-urlencoded", "a=b&"),
        ("one among elements of XML", "text", "application/xml", "<b>abc</b>"),
        ("one among attributes of XML", "text", "application/xml", "<b c='abc' d='def'/>"),
    )
    for name, kind, media, unit in bodies:
        body = f"{'' if kind == 'form' else '<a>'}{unit * (most // len(unit))}"
        body += f"z={quote_plus(told)}" if kind == "form" else f"<c>{told}</c></a>"
        whole = read_body(head, BodyPlan("whole", kind, HOSTILE_BYTES, media), body.encode(), ALL)
        assert isinstance(whole, Body)
        yield name, whole


def _document(tree: object) -> Body:
    return Body(_json(tree), "json", "application/json", tree)


def _json(tree: object) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


def _gets(seed: int) -> list[tuple[RequestHead, Body]]:
    rng = random.Random(seed)
    return [
        (
            _head("GET", b"/things/%d" % number, b"limit=10&sort=created%%20at%d" % number, rng.randbytes(8).hex()),
            EMPTY_BODY,
        )
        for number in range(REQUESTS)
    ]


def _posts(seed: int) -> list[tuple[RequestHead, Body]]:
    rng, made = random.Random(seed), []
    for number in range(REQUESTS):
        tree = {name: f"{text} {number}" for name, text in _FIELDS.items()}
        body = Body(json.dumps(tree).encode(), "json", "application/json", tree)
        made.append((_head("POST", b"/things", b"", rng.randbytes(8).hex()), body))
    return made


def _head(method: str, path: bytes, query: bytes, session: str = "8f1c0d2ab47e49aa") -> RequestHead:
    """Of a user of its own, who has one browser in common with all others."""
    cookies = b"session=%s; theme=dark; _ga=GA1.2.1171044093.1660138647" % session.encode()
    return HeadReader().read(
        method=method, scheme="https", raw_path=path, raw_query=query, headers=(*_HEADERS, (b"cookie", cookies)), http_version="1.1",
        peer="192.0.2.7", request_id="0" * 32, now=0.0,
    )  # fmt: skip


def _timed(control: InjectionControl, requests: list[tuple[RequestHead, Body]]) -> list[float]:
    """No two requests are the same: what is known of headers and names helps with those that are."""
    assert control.judge("", *requests[0]) == ((), ())
    clock, judge, spent = time.perf_counter_ns, control.judge, []
    for head, body in requests:
        before = clock()
        judge("", head, body)
        spent.append((clock() - before) / 1000)
    spent.sort()
    return spent
