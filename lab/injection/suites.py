"""The suites of others as requests with an expectation: the Core Rule Set's regression tests, GoTestWAF's cases."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.injection import requests
from lab.injection.data import documents
from sallygate.offline.recordings import Recorded, split_url

LEVEL_ONE = frozenset(
    "930100 930110 930120 930130 931100 931110 931120 932120 932125 932130 932140 932160 932170 932171 932175 932180 "
    "932230 932235 932250 932260 932270 932280 932281 932330 932370 932380 933100 933110 933120 933130 933135 933140 933150 "
    "933160 933170 933180 933200 933210 934100 934110 934130 934150 934160 934170 941100 941110 941130 941140 941160 "
    "941170 941180 941190 941200 941210 941220 941230 941240 941250 941260 941270 941280 941290 941300 941310 941350 "
    "941360 941370 941390 941400 942100 942140 942151 942160 942170 942190 942220 942230 942240 942250 942270 942280 942290 "
    "942320 942350 942360 942500 942540 942550 942560 943100 943110 943120 944100 944110 944120 944130 944140 "
    "944150".split()
)
"""Rules of families 930 to 944 at paranoia level 1, by the rule set's documentation."""


@dataclass(frozen=True)
class Case:
    name: str
    request: Recorded
    attack: bool


def core_rule_set(root: Path) -> Iterator[Case]:
    """Level-one tests whose single stage expects a match of its rule, or none."""
    for _, document in documents(root, "attacks/crs_regression_tests.tar.gz"):
        rule = str((document or {}).get("rule_id", ""))
        if rule not in LEVEL_ONE:
            continue
        for test in document["tests"]:
            for stage in test["stages"]:
                log = (stage.get("output") or {}).get("log") or {}
                expects, request = log.get("expect_ids"), _crs_request(stage["input"])
                if request is not None and (expects or log.get("no_expect_ids")):
                    yield Case(f"{rule}-{test['test_id']}", request, bool(expects))


def _crs_request(given: dict[str, Any]) -> Recorded | None:
    if given.get("encoded_request"):
        return None
    headers = tuple(
        (name.lower().encode(), str(value).encode("utf-8", "surrogateescape"))
        for name, value in (given.get("headers") or {}).items()
    )
    data = given.get("data") or ""
    body = base64.b64decode(given["encoded_data"]) if given.get("encoded_data") else _body(data)
    _, host, path, query = split_url(str(given.get("uri") or "/"))
    if not any(name == b"host" for name, _ in headers):
        headers = ((b"host", host or b"localhost"), *headers)
    if body:
        headers = (*(pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding")),
                   (b"content-length", b"%d" % len(body)))  # fmt: skip
        if not any(name == b"content-type" for name, _ in headers):
            headers = (*headers, (b"content-type", b"application/x-www-form-urlencoded"))
    return Recorded(str(given.get("method") or "GET"), "https", path, query, headers, body, "192.0.2.7")


def _body(data: Any) -> bytes:
    text = "\r\n".join(data) if isinstance(data, list) else str(data)
    if text.startswith("--") and "\r\n" not in text:
        text = text.replace("\n", "\r\n")  # multipart bodies are written with bare line feeds there
    return text.encode("utf-8", "surrogateescape")


_GOTESTWAF_PLACES = {
    "URLParam": requests.in_query, "HTMLForm": requests.in_form, "HTMLMultipartForm": requests.in_multipart,
    "JSONRequest": requests.in_json, "JSONBody": requests.in_json, "Header": requests.in_header,
    "URLPath": requests.in_path, "UserAgent": requests.in_user_agent, "XMLBody": None, "SOAPBody": requests.in_xml,
    "RequestBody": None, "gRPC": None, "GraphQL": None, "RawRequest": None,
}  # fmt: skip


def gotestwaf(root: Path) -> Iterator[Case]:
    """Payload × encoder × placeholder. Cases for gRPC have no HTTP request to be judged by and are left out."""
    for name, document in documents(root, "attacks/gotestwaf_cases.tar.gz"):
        attack = not name.startswith("false-pos")
        for payload in document["payload"]:
            for encoder in document["encoder"]:
                text = requests.encoded(str(payload), encoder)
                for placeholder in document["placeholder"]:
                    if (request := _gotestwaf_request(text, placeholder)) is not None:
                        kind = placeholder if isinstance(placeholder, str) else next(iter(placeholder))
                        yield Case(f"{name}:{encoder}:{kind}:{payload}", request, attack)


def _gotestwaf_request(text: str, placeholder: Any) -> Recorded | None:
    kind, settings = (placeholder, {}) if isinstance(placeholder, str) else next(iter(placeholder.items()))
    if kind == "gRPC":
        return None
    if kind == "GraphQL":
        if settings.get("method") == "GET":
            return requests.get("/graphql", "query=" + requests.quote(text, safe=""))
        return requests.post(text.encode(), "application/json", path="/graphql")
    if kind == "XMLBody":
        return requests.post(text.encode(), "application/xml")
    if kind == "RequestBody":
        return requests.post(text.encode(), "text/plain")
    if kind == "RawRequest":
        body = str(settings.get("body", "")).replace("{{payload}}", text).encode()
        path = str(settings.get("path", "/")).replace("{{payload}}", requests.quote(text, safe=""))
        more = tuple((str(n).lower().encode(), str(v).replace("{{payload}}", text).encode())
                     for n, v in (settings.get("headers") or {}).items() if str(n).lower() != "content-type")  # fmt: skip
        media = next(
            (str(v) for n, v in (settings.get("headers") or {}).items() if str(n).lower() == "content-type"),
            "text/plain",
        )
        return requests.post(body, media, *more, method=str(settings.get("method", "POST")), path=path)
    place = _GOTESTWAF_PLACES[kind]
    assert place is not None
    return place(text)
