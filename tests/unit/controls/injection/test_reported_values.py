"""Reports of browsers and telemetry pass; what would break out of them, and the same values elsewhere, do not."""

from __future__ import annotations

import json
import random
import string

import pytest

from injection_harness import XSS, as_json, post, request, said

PAGE = "http://127.0.0.1:8080/cart"
SCRIPT = "document.createElement('script');alert(1)"
HEAD = "Host: localhost\nUser-Agent: curl\nCookie: a=b"
METADATA = "http://169.254.169.254/latest/meta-data/"


def csp(page: str = PAGE, sample: str = SCRIPT) -> dict[str, object]:
    return {"csp-report": {"document-uri": page, "blocked-uri": "inline", "script-sample": sample}}


def reporting(page: str = PAGE, sample: str = SCRIPT) -> list[object]:
    return [{"type": "csp-violation", "url": page, "body": {"documentURL": page, "sample": sample}}]


def trace(value: str) -> dict[str, object]:
    attribute = {"key": "http.url", "value": {"stringValue": value}}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [attribute]}]}]}]}


@pytest.mark.parametrize(
    ("report", "media"),
    [
        (csp(), "application/csp-report"),
        (reporting(), "application/reports+json; charset=utf-8"),
        (trace(PAGE), "application/json"),
        (trace(HEAD), "application/json"),
    ],
)
def test_reports_pass(report: object, media: str) -> None:
    assert said(post(json.dumps(report), media)) == []


BREAKING = [csp(METADATA), csp("http://169.254.169.254/"), csp(sample=XSS), reporting(sample="<img src=x onerror=alert(1)>"),
            csp(sample='" onmouseover=alert(1) x="'), csp(sample="javascript:alert(1)"), reporting(METADATA), trace(METADATA),
            trace(XSS), {"document-uri": PAGE}, {"a": csp()}, {"sample": SCRIPT},
            {"attributes": [{"value": {"stringValue": HEAD}}]}]  # fmt: skip


@pytest.mark.parametrize("report", BREAKING)
def test_what_breaks_out_and_the_same_elsewhere_is_refused(report: object) -> None:
    assert said(as_json(report)) != []
    assert said(post(json.dumps(report), "application/reports+json")) != []


@pytest.mark.parametrize(
    "report", [csp(), reporting(), [{"url": "http://10.0.0.1/admin"}], [{"url": PAGE, "type": "hook"}]]
)
def test_no_other_media_type_reports(report: object) -> None:
    assert said(as_json(report)) != []


@pytest.mark.parametrize(
    ("search", "passes"),
    [
        ("select name from users where id = 1", True),
        ("how to group by month order by sum", True),
        ("' or 1=1 -- ", False),
        ("select a from b where c=1; drop table users", False),
        ("select a from b' and sleep(5) and '", False),
        ("1 union select password from users", False),
        ("select pg_sleep(5)", False),
        ("SELECT count(*) FROM visits&r=' or '1'='1", False),
        ("SELECT count(*) FROM visits&r=%27 or %271%27=%271", False),
    ],
)
def test_a_search_repeated_in_referer(search: str, passes: bool) -> None:
    page = "https://shop.example/search?q=" + search.replace("%", "%25").replace(" ", "%20").replace("'", "%27")
    assert (said(request("/", "", (b"referer", page.encode()))) == []) is passes


def test_characters_at_random_are_seldom_an_expression() -> None:
    """As the scripts that watch for robots send them: 19 of 100 were refused, nearly all as templates."""
    chance = random.Random(20261201)
    printable = string.printable[:95]
    values = ["2;3224628;12,0,0,2," + "".join(chance.choices(printable, k=2000)) for _ in range(100)]
    assert sum(said(as_json({"sensor_data": value})) != [] for value in values) <= 8
