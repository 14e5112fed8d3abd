"""A gate without a contract that judges injection alone, and requests to ask it about."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sallygate.engine.evaluation import Step
from sallygate.offline.decide import Offline, Verdict
from sallygate.offline.recordings import Recorded, from_json

HEADERS = (
    (b"host", b"api.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
)
SQL, XSS, COMMAND, CLIMB = (
    "1' union select a,b from users-- ",
    "<script>alert(1)</script>",
    "; cat /etc/passwd",
    "../../../etc/passwd",
)


@lru_cache(32)
def gate(section: str = "mode: enforce", more: str = "") -> Offline:
    text = f"version: 1\nopenapi: none\nidentity: none\ntransport: {{ambiguous_paths: allow}}\ninjection: {{{section}}}\n{more}"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "sallygate.yaml"
        file.write_text(text)
        return Offline(file)


def request(
    path: str = "/", query: str = "", *headers: tuple[bytes, bytes], method: str = "GET", body: bytes = b""
) -> Recorded:
    if body or method == "POST":
        headers = (*headers, (b"content-length", b"%d" % len(body)))
    return Recorded(method, "https", path.encode(), query.encode(), (*HEADERS, *headers), body, "192.0.2.7")


def post(body: bytes | str, media: str = "application/json", *headers: tuple[bytes, bytes]) -> Recorded:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return request("/", "", (b"content-type", media.encode()), *headers, method="POST", body=data)


def query(value: str, name: str = "q") -> Recorded:
    return request("/", f"{name}={quote(value, safe='')}")


def as_json(value: object) -> Recorded:
    return post(json.dumps(value))


def verdict(
    recorded: Recorded, section: str = "mode: enforce", more: str = "", trace: list[Step] | None = None
) -> Verdict:
    return gate(section, more).decide(recorded, trace=trace)


def said(recorded: Recorded, section: str = "mode: enforce", more: str = "") -> list[str]:
    """`sql query:q` for each finding a request is refused for; empty when it passes."""
    decision = verdict(recorded, section, more).decision
    if decision.verdict == "allow":
        return []
    return [f"{finding.code.removeprefix('injection.')} {finding.where}" for finding in decision.findings]


def stories(name: str) -> list[dict[str, Any]]:
    """The texts and requests of a file under `tests/data/injection`, a line of JSON each."""
    lines = (Path(__file__).parent / "data" / "injection" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


PLACES: dict[str, Callable[[str], Recorded]] = {
    "query": query,
    "form": lambda text: post(f"id=7&comment={quote(text, safe='')}&lang=en", "application/x-www-form-urlencoded"),
    "part": lambda text: post(
        f'--X\r\nContent-Disposition: form-data; name="comment"\r\n\r\n{text}\r\n--X--\r\n',
        "multipart/form-data; boundary=X",
    ),
    "json": lambda text: as_json({"id": 7, "comment": text, "lang": "en"}),
}
"""Where a text can stand."""


def recorded(story: dict[str, Any], place: str) -> Recorded:
    """A story's request, or its text in a `place`."""
    return from_json(story["request"]) if place == "request" else PLACES[place](story["value"])
