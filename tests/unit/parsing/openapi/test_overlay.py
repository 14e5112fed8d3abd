"""Overlays: what is merged, what is removed, and what is refused instead of having no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sallygate.parsing.openapi.overlay import OverlayError, apply_overlay
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/orders": {
            "post": {
                "operationId": "addOrder",
                "tags": ["a"],
                "parameters": [
                    {"name": "q", "in": "query"},
                    {"name": "debug", "in": "query"},
                    {"name": "z", "in": "query"},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
            }
        },
        "/debug": {"get": {"operationId": "debug"}},
    },
    "components": {
        "schemas": {"Order": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku", "qty"]}}
    },
}


def changed(*actions: dict[str, Any]) -> dict[str, Any]:
    return apply_overlay(
        DOCUMENT, {"overlay": "1.0.0", "info": {"title": "x", "version": "1"}, "actions": list(actions)}
    )


def wrong(*actions: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(OverlayError) as caught:
        changed(*actions)
    return caught.value.problems


def test_objects_are_merged_and_arrays_appended_to() -> None:
    schema = "$.components.schemas.Order.properties"
    found = changed(
        {"target": schema, "update": {"sku": {"pattern": "^[A-Z]{3}$"}, "note": {"type": "string"}}},
        {"target": "$.paths['/orders'].post.parameters", "update": {"name": "page", "in": "query"}},
        {"target": "$.paths['/orders'].post", "update": {"tags": ["b"]}},
    )
    properties = found["components"]["schemas"]["Order"]["properties"]
    assert properties == {"sku": {"type": "string", "pattern": "^[A-Z]{3}$"}, "note": {"type": "string"}}
    post = found["paths"]["/orders"]["post"]
    assert [one["name"] for one in post["parameters"]] == ["q", "debug", "z", "page"] and post["tags"] == ["a", "b"]
    assert "note" not in DOCUMENT["components"]["schemas"]["Order"]["properties"]


def test_one_action_meets_every_node_it_selects_in_order() -> None:
    found = changed(
        {"target": "$.paths.*.*", "update": {"x-seen": True}},
        {"target": "$.paths.*.get", "update": {"x-seen": False}},
    )
    assert found["paths"]["/orders"]["post"]["x-seen"] is True and found["paths"]["/debug"]["get"]["x-seen"] is False


def test_what_is_selected_is_removed() -> None:
    found = changed(
        {"target": "$.paths['/debug']", "remove": True},
        {"target": "$.paths['/orders'].post.parameters[?@.name != 'q']", "remove": True},
        {"target": "$.components.schemas.Order.required[?@ == 'qty']", "remove": True},
    )
    assert list(found["paths"]) == ["/orders"]
    assert [one["name"] for one in found["paths"]["/orders"]["post"]["parameters"]] == ["q"]
    assert found["components"]["schemas"]["Order"]["required"] == ["sku"]


def test_many_elements_are_removed_by_their_numbers() -> None:
    document = {"a": list(range(30))}
    found = apply_overlay(document, {"overlay": "1.0.0", "actions": [{"target": "$.a[?@ > 8]", "remove": True}]})
    assert found["a"] == list(range(9))


@pytest.mark.parametrize(
    ("action", "where", "said"),
    [
        ({"target": "$.paths['/order']", "remove": True}, "/actions/0/target", "selects nothing"),
        ({"target": "paths[", "remove": True}, "/actions/0/target", "not a JSONPath"),
        ({"target": "$.paths"}, "/actions/0", "neither updates nor removes"),
        ({"update": {}}, "/actions/0", "has no `target`"),
        ({"target": "$.paths", "updates": {}}, "/actions/0", "`updates` is not a field"),
        ({"target": "$.paths", "remove": "yes"}, "/actions/0/remove", "true or false"),
        ({"target": "$.openapi", "update": {"a": 1}}, "/actions/0", "selects a single value"),
        ({"target": "$.paths", "update": [1]}, "/actions/0", "selects an object"),
        ({"target": "$", "remove": True}, "/actions/0/target", "the root cannot be removed"),
        ({"target": "$.components", "update": {"schemas": 5}}, "/actions/0/update/schemas", "remove that one first"),
    ],
)
def test_what_would_have_no_effect_is_refused(action: dict[str, Any], where: str, said: str) -> None:
    ((found, message),) = wrong(action)
    assert found == where and said in message


@pytest.mark.parametrize(
    "overlay",
    [None, [], {"overlay": "2.0.0", "actions": []}, {"overlay": "1.0.0"}, {"overlay": "1.0.0", "actions": []}],
)
def test_what_is_no_overlay(overlay: object) -> None:
    with pytest.raises(OverlayError):
        apply_overlay(DOCUMENT, overlay)


def policy(directory: Path, overlay: str) -> Path:
    import json

    (directory / "openapi.json").write_text(json.dumps({**DOCUMENT, "info": {"title": "x", "version": "1"}}))
    (directory / "overlay.yaml").write_text(overlay)
    file = directory / "sallygate.yaml"
    file.write_text("version: 1\nidentity: none\nopenapi: openapi.json\ncontract: {overlay: overlay.yaml}\n")
    return file


def test_the_policy_names_it_and_its_change_is_another_policy(tmp_path: Path) -> None:
    text = "overlay: 1.0.0\nactions:\n- {target: \"$.paths['/debug']\", remove: true}\n"
    first = load_policy(policy(tmp_path, text), "in_process")
    assert [one.id for one in first.operations] == ["addOrder"]
    second = load_policy(policy(tmp_path, text + "# changed\n"), "in_process")
    assert first.hash != second.hash and tmp_path / "overlay.yaml" in second.watched_files


def test_what_is_wrong_in_it_is_said_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(policy(tmp_path, "overlay: 1.0.0\nactions: [{target: $.nothing, remove: true}]\n"), "in_process")
    (problem,) = caught.value.problems
    assert "overlay.yaml/actions/0/target" in problem.message and "selects nothing" in problem.message


def test_an_overlay_without_a_contract_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sallygate.yaml"
    file.write_text("version: 1\nidentity: none\nopenapi: none\ncontract: {overlay: overlay.yaml}\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(file, "in_process")
    assert any(one.code == "policy.reference" for one in caught.value.problems)
