"""Changes proposed from what was found in shadow: one for each cause, as narrow as it can be, and none twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.offline.policy_patch import apply_changes, patch_text, patched
from sallygate.offline.tuning import EXAMPLES_MAX, Change, Proposal, Tuning, propose
from sallygate.offline.tuning.places import generalised, path_patterns
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import Loaded, load_policy
from support import write_policy

ORDER: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "orders", "version": "1"},
    "paths": {
        "/orders": {
            "post": {
                "operationId": "addOrder",
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 10}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                "responses": {"200": {"description": "ok"}},
            }
        }
    },
    "components": {
        "schemas": {
            "Order": {
                "allOf": [
                    {"$ref": "#/components/schemas/Named"},
                    {"type": "object", "properties": {"lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}}},
                ]
            },
            "Named": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}},
            "Line": {"type": "object", "properties": {"sku's": {"type": "string", "maxLength": 3}}},
        }
    },
}  # fmt: skip


NOTHING = Tuning([], [], [])


@pytest.fixture
def open_policy(tmp_path: Path) -> Loaded:
    file = tmp_path / "sallygate.yaml"
    file.write_text("version: 1\nopenapi: none\nidentity: none\ninjection: {mode: shadow}   # first look\n")
    return load_policy(file, "replay")


@pytest.fixture
def orders(tmp_path: Path) -> Loaded:
    more = "contract: {mode: shadow}\noperations: {}\n"
    return load_policy(write_policy(tmp_path, more, openapi=ORDER), "replay")


def event(code: str, where: str, address: str = "192.0.2.1", operation: str = "", path: str = "/posts/7",
          mode: str = "shadow", rule: str = "fragment", detail: str = "x", **more: Any) -> Event:  # fmt: skip
    finding = Finding(code, detail, where=where, rule=rule, mode=mode, evidence="score 5: '<b>'")  # type: ignore[arg-type]
    return Event(1.0, f"{code}{where}{address}{path}", "t", "allow", 200, "POST", path, address, Location(address),
                 findings=(finding,), operation=operation, **more)  # fmt: skip


def seen(code: str, *places: str, callers: int = 2, **more: Any) -> list[Event]:
    return [event(code, where, f"192.0.2.{n}", **more) for where in places for n in range(callers)]


def changes_of(proposals: list[Proposal]) -> list[Change]:
    return [one.change for one in proposals if one.change is not None]


def fields(proposals: list[Proposal]) -> list[tuple[str, str]]:
    return sorted((change.value["family"], change.value["field"]) for change in changes_of(proposals))


def test_what_several_callers_send_is_proposed_as_narrow_as_it_can_be(open_policy: Loaded) -> None:
    events = [event("injection.xss", f"body:/items/{n}/html", f"192.0.2.{n}", path=f"/posts/{n}") for n in range(3)]
    events += [event("injection.sql", "query:q", "198.51.100.9") for _ in range(9)]
    events += [event("injection.xss", "body:/items/0/html", "203.0.113.1", mode="enforce")]
    tuning = propose(events, open_policy, 2)
    (one,) = tuning.proposed
    assert one.change is not None and one.change.path == ("injection", "exclude") and one.change.is_item
    assert one.change.value == {"family": "xss", "field": "body:/items/*/html", "path": "/posts/*",
                                "reason": "3 requests of 3 callers: fragment"}  # fmt: skip
    assert (one.requests, one.callers, one.rules) == (3, 3, ("fragment",)) and len(one.examples) == 3
    assert [(lone.cause, lone.callers) for lone in tuning.few] == [("sql in query:q", 1)]


def test_with_a_contract_the_operation_says_where_and_counts_are_those_events_stand_for(orders: Loaded) -> None:
    events = [event("injection.xss", "body:/text", operation="addOrder", account=f"a{n}", count=5, sampled=2, path=f"/{n}")
              for n in range(9)]  # fmt: skip
    (one,) = propose(events, orders, 2).proposed
    assert one.change is not None
    assert (one.change.value["operation"], one.requests, one.callers) == ("addOrder", 90, 9)
    assert len(one.examples) == EXAMPLES_MAX == len(one.evidence)


@pytest.mark.parametrize(
    ("places", "patterns"),
    [
        (["body:/where/$and", "body:/where/$and/0/page/$gt", "body:/where/lang/$ne"], {"body:/where/*"}),
        (["body:/where/page/$gt"], {"body:/where/*"}),
        (["body:/page/$gt"], {"body:/page/*"}),
        (["body:/title", "body:/text"], {"body:/title", "body:/text"}),
        (["body:/a/title", "body:/a/text"], {"body:/a/title", "body:/a/text"}),
        (["body:/env/A", "body:/env/B", "body:/env/C"], {"body:/env/*"}),
        (["body:/a", "body:/b", "body:/c", "body:/d"], {"body:/a", "body:/b", "body:/c", "body:/d"}),
        (["body:/items/0/html", "body:/items/17/html"], {"body:/items/*/html"}),
        (["query:filter", "query:q"], {"query:filter", "query:q"}),
        (["query:filter/where/a/$ne", "query:filter/where/$or"], {"query:filter/where/*"}),
        (["body:/m/a key", "body:/m/b"], {"body:/m/*"}),
        (["body:/$where"], {"body:/$where"}),
        (["body:", "path:2"], {"body:", "path:2"}),
        (["body:/0", "body:/1"], {"body:/0", "body:/1"}),
    ],
)
def test_one_pattern_for_one_cause(places: list[str], patterns: set[str]) -> None:
    assert set(generalised(places).values()) == patterns


@pytest.mark.parametrize(
    ("paths", "patterns"),
    [
        (["/posts/7", "/posts/9"], {"/posts/*"}),
        (["/api/records/ab12cd34ef56gh7", "/api/records/zz12cd34ef56gh7"], {"/api/records/*"}),
        (["/o/3f2b6c1e-0000-4000-8000-000000000001/x"], {"/o/*/x"}),
        (["/api/posts/records", "/api/people/records"], {"/api/posts/records", "/api/people/records"}),
        (["/api/a/records", "/api/b/records", "/api/c/records"], {"/api/*/records"}),
        (["/login", "/admin", "/pay"], {"/login", "/admin", "/pay"}),
    ],
)
def test_one_pattern_for_paths_alike(paths: list[str], patterns: set[str]) -> None:
    assert set(path_patterns({path[:256] for path in paths}).values()) == patterns


@pytest.mark.parametrize(
    ("code", "rule", "where", "setting", "value"),
    [
        ("contract.body", "nullable", "body:/lines", "nulls", "allow"),
        ("contract.body", "additionalProperties", "body:/more", "unknown_fields", "ignore"),
        ("contract.body", "readOnly", "body:/id", "read_only", "ignore"),
        ("contract.body", "oneOf", "body:/size", "overlaps", "allow"),
        ("contract.query_unknown", "", "query:x", "unknown_query", "ignore"),
        ("contract.content_type", "content", "header:content-type", "undeclared_content", "ignore"),
        ("contract.body", "schema", "body:/", "mode", "shadow"),
    ],
)
def test_a_setting_of_the_operation(orders: Loaded, code: str, rule: str, where: str, setting: str, value: str) -> None:
    (one,) = propose(seen(code, where, rule=rule, operation="addOrder"), orders, 2).proposed
    assert one.change == Change(("operations", "addOrder", "contract", setting), value)


@pytest.mark.parametrize(
    ("code", "where", "rule", "detail", "target"),
    [
        ("contract.body", "body:/name", "pattern", "", "$['components']['schemas']['Named']['properties']['name']['pattern']"),
        ("contract.body", "body:/", "required", "/ lacks name", "$['components']['schemas']['Named']['required'][?@ == 'name']"),
        ("contract.body", "body:/lines/0/sku's", "maxLength", "",
         "$['components']['schemas']['Line']['properties']['sku\\'s']['maxLength']"),
        ("contract.body", "body:/lines", "type", "", "$['components']['schemas']['Order']['allOf'][1]['properties']['lines']['type']"),
        ("contract.parameter", "query:limit", "maximum", "",
         "$['paths']['/orders']['post']['parameters'][0]['schema']['maximum']"),
    ],
)  # fmt: skip
def test_a_keyword_of_the_document(orders: Loaded, code: str, where: str, rule: str, detail: str, target: str) -> None:
    (one,) = propose(seen(code, where, rule=rule, detail=detail, operation="addOrder"), orders, 2).proposed
    assert one.change == Change(("actions",), {"target": target, "remove": True}, is_item=True, file="overlay")
    document = (orders.file.parent / "openapi.json").read_bytes()
    apply_changes(orders, [one.change])
    assert (orders.file.parent / "openapi.json").read_bytes() == document
    changed = load_policy(orders.file, "replay")
    assert changed.hash != orders.hash and changed.policy.contract.overlay == "sallygate.overlay.yaml"


@pytest.mark.parametrize(
    ("code", "sent", "path", "value"),
    [
        ("contract.body_size", 9_000_000, ("operations", "addOrder", "body"), "16MiB"),
        ("injection.size", 5_000_000, ("injection", "inspect"), "8MiB"),
        ("limits.body_size", 70_000_000, ("limits", "body"), "128MiB"),
    ],
)
def test_a_limit_of_bodies(orders: Loaded, code: str, sent: int, path: tuple[str, ...], value: str) -> None:
    (one,) = propose(seen(code, "body:", operation="addOrder", request_bytes=sent), orders, 2).proposed
    assert one.change == Change(path, value)


@pytest.mark.parametrize(
    ("where", "path"), [("body:/*", "/a"), ("query:*", "/a"), ("body:/a*/b", "/a"), ("body:/a", "/*")]
)
def test_a_sender_cannot_name_a_field_that_stands_for_all(open_policy: Loaded, where: str, path: str) -> None:
    assert propose(seen("injection.xss", where, path=path), open_policy, 2) == NOTHING


@pytest.mark.parametrize(
    ("code", "rule", "path", "value"),
    [
        ("body.json", "depth", ("contract", "json_depth"), 64),
        ("body.form", "limits.form_fields", ("limits", "form_fields"), 2000),
        ("body.multipart", "limits.parts", ("limits", "parts"), 2000),
    ],
)
def test_a_limit_of_counts(orders: Loaded, code: str, rule: str, path: tuple[str, ...], value: int) -> None:
    (one,) = propose(seen(code, "body:", rule=rule, operation="addOrder"), orders, 2).proposed
    assert one.change == Change(path, value)
    apply_changes(orders, [one.change])
    at_most = load_policy(write_policy(orders.file.parent, "contract: {mode: shadow, json_depth: 200}\nlimits: {form_fields: 100000, parts: 10000}\noperations: {}\n",
                                       openapi=ORDER), "replay")  # fmt: skip
    assert propose(seen(code, "body:", rule=rule, operation="addOrder"), at_most, 2) == NOTHING


@pytest.mark.parametrize(
    ("media", "more", "value"),
    [
        ("multipart/form-data", "operations: {}\n", "32MiB"),
        ("application/json", "operations: {}\n", "8MiB"),
        ("application/json", "contract: {mode: shadow, body: 10MiB}\noperations: {}\n", "16MiB"),
        ("application/json", "operations: {addOrder: {body: 20MiB}}\n", "32MiB"),
    ],
)
def test_no_proposal_makes_a_limit_smaller(tmp_path: Path, media: str, more: str, value: str) -> None:
    """What an operation says of its bodies is for all of them: the uploads that pass today pass tomorrow."""
    document = json.loads(json.dumps(ORDER))
    content = document["paths"]["/orders"]["post"]["requestBody"]["content"]
    content[media] = content["application/json"]
    loaded = load_policy(write_policy(tmp_path, more, openapi=document), "replay")
    events = seen("contract.body_size", "body:", rule="contract.body", operation="addOrder", request_bytes=5_000_000)
    (one,) = propose(events, loaded, 2).proposed
    assert one.change == Change(("operations", "addOrder", "body"), value)


def test_a_body_above_every_limit_of_inspection_is_spooled(orders: Loaded) -> None:
    events = seen("injection.size", "body:", operation="addOrder", request_bytes=70_000_000)
    assert changes_of(propose(events, orders, 2).proposed) == [Change(("injection", "uninspected"), "spool")]


@pytest.mark.parametrize(
    ("code", "rule"),
    [("body.json", "syntax"), ("contract.parameter_repeated", "style"), ("injection.charset", ""), ("limits.rate", "address")],
)  # fmt: skip
def test_what_no_change_passes_is_shown_without_one(orders: Loaded, code: str, rule: str) -> None:
    tuning = propose(seen(code, "body:", callers=3, rule=rule, operation="addOrder"), orders, 2)
    assert (tuning.proposed, tuning.few) == ([], [])
    (one,) = tuning.left
    assert (one.cause, one.operation, one.change, one.callers) == (f"{code} {rule}".strip(), "addOrder", None, 3)


def test_a_field_of_many_families_is_a_text(open_policy: Loaded) -> None:
    families = ("sql", "xss", "command", "lookup")
    events = [
        one for family in families for one in seen(f"injection.{family}", "body:/messages/0/content", path="/chat")
    ]
    proposed = propose(events, open_policy, 2).proposed
    kind, exclusion = sorted(changes_of(proposed), key=lambda change: change.path, reverse=True)
    assert kind.path == ("injection", "kinds")
    assert (kind.value["field"], kind.value["kind"], kind.value["path"]) == (
        "body:/messages/*/content",
        "text",
        "/chat",
    )
    assert exclusion.value["family"] == "lookup", "what breaks out of the request is proposed by itself"
    apply_changes(open_policy, changes_of(proposed))
    assert propose(events, load_policy(open_policy.file, "replay"), 2) == NOTHING


def test_what_is_in_the_policy_already_is_not_proposed_again(open_policy: Loaded) -> None:
    events = seen("injection.nosql", "body:/where/a/$gt", "body:/where/$or") + seen("injection.sql", "query:q")
    tuning = propose(events, open_policy, 2)
    assert fields(tuning.proposed) == [("nosql", "body:/where/*"), ("sql", "query:q")] and not tuning.few
    apply_changes(open_policy, changes_of(tuning.proposed))
    again = load_policy(open_policy.file, "replay")
    assert propose(events, again, 2) == NOTHING
    more = seen("injection.nosql", "body:/where/b/$lt", path="/posts/8") + seen("injection.nosql", "body:/other/$lt")
    assert fields(propose(more, again, 2).proposed) == [("nosql", "body:/other/*")]


def test_findings_of_another_policy_propose_no_setting(orders: Loaded) -> None:
    """The setting that they ask for may be there already, and the finding gone."""
    events = seen("contract.body", "body:/lines", rule="nullable", operation="addOrder", policy="000000000000")
    assert propose(events, orders, 2) == NOTHING


def test_comments_and_order_of_the_policy_stay(open_policy: Loaded) -> None:
    before = (
        "# ours\nversion: 1\nopenapi: none   # no document yet\nidentity: none\n\noperations:\n  a: {cost: 2}  # dear\n"
    )
    changes = [Change(("injection", "exclude"), {"family": "sql", "field": 'body:/a "b"/*'}, is_item=True),
               Change(("operations", "a", "contract", "nulls"), "allow")]  # fmt: skip
    text = patched(before, changes)
    assert text.startswith(
        "# ours\nversion: 1\nopenapi: none   # no document yet\nidentity: none\n\noperations:\n  a: "
    )
    assert "# dear" in text and patched(text, changes) == text
    assert "injection:" in patch_text(changes) and "version" not in patch_text(changes)


def test_a_change_that_makes_the_policy_invalid_is_not_written(open_policy: Loaded) -> None:
    before = open_policy.file.read_bytes()
    with pytest.raises(PolicyError):
        apply_changes(open_policy, [Change(("injection", "inspect"), "8 bananas")])
    assert open_policy.file.read_bytes() == before
    assert [file.name for file in open_policy.file.parent.iterdir()] == ["sallygate.yaml"]


def test_the_file_keeps_its_mode(open_policy: Loaded) -> None:
    open_policy.file.chmod(0o640)
    apply_changes(open_policy, [Change(("injection", "inspect"), "8MiB")])
    assert open_policy.file.stat().st_mode & 0o777 == 0o640
