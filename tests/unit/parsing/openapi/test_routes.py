"""Paths lead to operations: concrete before templated, never across segments, methods of equal templates
together."""

from __future__ import annotations

from typing import Any

import pytest

from sallygate.model.operation import Operation
from sallygate.parsing.http.forms import decode_percent
from sallygate.parsing.openapi.document import read_operations
from sallygate.parsing.openapi.routes import RouteTable, SegmentTemplate


def operations(*routes: str) -> tuple[Operation, ...]:
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        method, path = route.split(" ")
        paths.setdefault(path, {})[method.lower()] = {}
    return read_operations({"openapi": "3.1.0", "paths": paths})


TABLE = RouteTable(
    operations(
        "GET /", "GET /users", "GET /users/me", "GET /users/{id}", "DELETE /users/{uid}", "GET /users/{id}/posts",
        "GET /users/me/settings", "GET /a/{x}/c", "GET /a/b/d", "GET /files/{name}.{ext}", "GET /files/{name}",
        "GET /files/README.md", "GET /repos/{owner}:{repo}", "GET /v/{a}-{b}-{c}", "GET /slash/", "GET /pre{x}fix/end", "GET /{any}/{thing}/{else}/x",
    )
)  # fmt: skip

CASES: list[tuple[str, str | None, dict[str, str]]] = [
    ("/", "/", {}), ("/users", "/users", {}), ("/users/", None, {}), ("/users/me", "/users/me", {}), ("/users/7", "/users/{id}", {"id": "7"}),
    ("/users/a%2Fb", "/users/{id}", {"id": "a/b"}), ("/users/m%65", "/users/me", {}), ("/us%65rs", "/users", {}), ("/users//posts", None, {}),
    ("/users/me/posts", "/users/{id}/posts", {"id": "me"}), ("/users/me/settings", "/users/me/settings", {}), ("/users/7/settings", None, {}),
    ("/a/b/c", "/a/{x}/c", {"x": "b"}), ("/a/b/d", "/a/b/d", {}), ("/a/z/d", None, {}), ("/Users", None, {}), ("/slash", None, {}), ("/slash/", "/slash/", {}),
    ("/files/a.txt", "/files/{name}.{ext}", {"name": "a", "ext": "txt"}), ("/files/a.tar.gz", "/files/{name}.{ext}", {"name": "a.tar", "ext": "gz"}),
    ("/files/plain", "/files/{name}", {"name": "plain"}), ("/files/.hidden", "/files/{name}", {"name": ".hidden"}), ("/files/dot.", "/files/{name}", {"name": "dot."}),
    ("/files/README.md", "/files/README.md", {}), ("/files/", None, {}), ("/repos/o:r", "/repos/{owner}:{repo}", {"owner": "o", "repo": "r"}), ("/repos/o", None, {}),
    ("/v/1-2-3", "/v/{a}-{b}-{c}", {"a": "1", "b": "2", "c": "3"}), ("/v/1-2-3-4", "/v/{a}-{b}-{c}", {"a": "1-2", "b": "3", "c": "4"}), ("/v/--", None, {}),
    ("/v/-----", "/v/{a}-{b}-{c}", {"a": "-", "b": "-", "c": "-"}),
    ("/preZfix/end", "/pre{x}fix/end", {"x": "Z"}), ("/prefix/end", None, {}), ("/users/me/z/x", "/{any}/{thing}/{else}/x", {"any": "users", "thing": "me", "else": "z"}),
    ("", None, {}), ("/users/me/settings/", None, {}),
]  # fmt: skip


@pytest.mark.parametrize("path, template, values", CASES)
def test_a_path_leads_to_one_template(path: str, template: str | None, values: dict[str, str]) -> None:
    match = TABLE.match("GET", path.encode(), tuple(map(decode_percent, path.split("/")[1:])))
    assert (match and match.operation and match.operation.path) == template
    assert dict(match.path_values if match else ()) == values


def test_how_many_cases_ran() -> None:
    assert len(CASES) == 36


def test_templates_that_differ_in_their_names_only_share_their_methods() -> None:
    got = TABLE.match("DELETE", b"/users/7", ("users", "7"))
    assert got is not None and got.operation is not None
    assert got.path_values == (("uid", "7"),)
    assert got.allow == ("DELETE", "GET", "HEAD")
    refused = TABLE.match("PUT", b"/users/7", ("users", "7"))
    assert refused is not None and refused.operation is None and refused.allow == ("DELETE", "GET", "HEAD")


def test_a_known_path_with_another_method_names_those_it_has() -> None:
    for path, segments in ((b"/users", ("users",)), (b"/users/me", ("users", "me"))):
        match = TABLE.match("PATCH", path, segments)
        assert match is not None and match.operation is None and match.allow == ("GET", "HEAD")


def test_a_base_path_stands_in_front() -> None:
    table = RouteTable(operations("GET /users/{id}", "GET /"), "/v1/")
    assert table.match("GET", b"/users/1", ("users", "1")) is None
    assert table.match("GET", b"/v1/users/1", ("v1", "users", "1")) is not None
    assert table.match("GET", b"/v1/", ("v1", "")) is not None


def test_a_path_made_to_branch_everywhere_stays_cheap() -> None:
    """Every level has a fixed and a templated child: 2^12 leaves, each node visited at most once."""
    deep = [
        "/".join(["", *("a" if bit == "1" else f"{{p{at}}}" for at, bit in enumerate(f"{n:010b}")), "end"])
        for n in range(1024)
    ]
    table = RouteTable(operations(*(f"GET {path}" for path in deep)))
    segments = ("a",) * 10 + ("nowhere",)
    assert table.match("GET", ("/" + "/".join(segments)).encode(), segments) is None


def test_a_segment_made_to_backtrack_is_linear() -> None:
    template = SegmentTemplate("{a}-{b}-{c}-{d}-x")
    assert template.match("-" * 200_000) is None
    assert template.match("-" * 200_000 + "-x") is not None


@pytest.mark.parametrize("segment", ["{a}{b}", "{}", "{a", "a}", "{a}{", "{{a}}"])
def test_templates_that_read_two_ways_are_refused(segment: str) -> None:
    with pytest.raises(ValueError):
        SegmentTemplate(segment)


def test_head_is_a_get_without_its_body_where_the_contract_does_not_declare_it() -> None:
    table = RouteTable(operations("GET /a", "HEAD /b", "GET /b", "GET /c", "HEAD /c", "POST /d"), "")
    found = {path: table.match("HEAD", path, (path.decode()[1:],)) for path in (b"/a", b"/b", b"/c", b"/d")}
    named = {path: match.operation.method for path, match in found.items() if match and match.operation}
    assert named == {b"/a": "GET", b"/b": "HEAD", b"/c": "HEAD"}
    assert found[b"/d"] is not None and found[b"/d"].allow == ("POST",)


def test_what_is_hidden_is_found_by_its_own_method_alone() -> None:
    known = operations("GET /a", "POST /a", "GET /a/{id}", "GET /a/own", "PUT /b/{id}")
    hidden = {one.id for one in known if f"{one.method} {one.path}" in ("POST /a", "GET /a/own", "PUT /b/{id}")}
    table = RouteTable(known, "", hidden)

    def match(method: str, path: str) -> Any:
        return table.match(method, path.encode(), tuple(path.split("/")[1:]))

    assert match("PUT", "/a").allow == match("POST", "/a").allow == ("GET", "HEAD")
    assert match("GET", "/a/own").operation.path == "/a/own", "a template does not take it"
    assert match("PUT", "/a/own") is None and match("GET", "/b/1") is None
    assert match("PUT", "/b/1").operation.path == "/b/{id}"
