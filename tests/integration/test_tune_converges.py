"""From shadow to enforce: after one `tune --apply` the same honest traffic passes, and `tune` has nothing more to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from typer.testing import CliRunner

from sallygate.cli import app
from support import Running, Upstream, make_key, running_gateway, until, write_policy

ROWS: dict[str, Any] = {
    "type": "object",
    "required": ["ids"],
    "properties": {
        "ids": {"type": "array", "items": {"type": "string"}},
        "where": {},
        "documents": {"type": "array", "items": {"type": "string"}},
        "vectors": {
            "oneOf": [
                {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
        "note": {"type": "string", "maxLength": 8},
        "size": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    },
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "rows", "version": "1"},
    "paths": {
        f"/{name}": {
            "post": {
                "operationId": name,
                "requestBody": {"content": {"application/json": {"schema": ROWS}}},
                "responses": {"200": {"description": "ok"}},
            }
        }
        for name in ("search", "add")
    },
}
VECTORS = [[number / 7 + at for at in range(64)] for number in range(40)]
TRAFFIC: list[tuple[str, object]] = [
    ("/search", {"ids": [], "where": {"$and": [{"page": {"$gt": 10}}, {"lang": {"$in": ["pl", "de"]}}]}}),
    ("/search", {"ids": [], "where": {"page": {"$lte": 3}}}),
    ("/search", {"ids": [], "where": None, "note": None}),
    ("/search", {"ids": ["a"], "size": 3}),
    ("/search", {"ids": ["a"], "note": "longer than eight"}),
    ("/search?trace=1", {"ids": ["a"], "where": {"a": "b"}}),
    ("/add", {"ids": ["a"], "documents": ["SELECT name FROM users WHERE id = 1; DROP TABLE x --"], "vectors": VECTORS}),
    ("/add", {"ids": ["a"], "documents": None, "uris": ["x"]}),
    ("/add", {"ids": ["a"], "documents": ["<script>alert(1)</script>"], "vectors": []}),
]
UNSEEN_ALIKE = [
    ("/search", {"ids": [], "where": {"$or": [{"other": {"$ne": 1}}, {"more": {"$nin": ["x"]}}]}}),
    ("/add", {"ids": ["b"], "documents": ["x", "1 UNION SELECT a, b FROM t"], "note": "b"}),
]
STILL_REFUSED = [
    ("/search", {"ids": ["1' or '1'='1"]}, "injection.sql"),
    ("/search", {"ids": [], "other": {"$ne": 1}}, "contract.body"),
    ("/add", {"ids": ["<script>alert(1)</script>"]}, "injection.xss"),
    ("/add", {"ids": [], "where": {"a": {"$ne": 1}}}, "injection.nosql"),
    ("/search", {"ids": 5}, "contract.body"),
]


def send(running: Running, target: str, body: object, key: str) -> tuple[int, str]:
    status, _, answer = running.get(
        target, key, method="POST", body=json.dumps(body).encode(), Content_Type="application/json"
    )
    return status, json.loads(answer).get("code", "") if status >= 400 else ""


def tune(policy: Path, *words: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["tune", str(policy), "--json", *words])
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout)["proposed"])


def test_from_shadow_to_enforce_in_one_step(tmp_path: Path) -> None:
    with Upstream() as upstream:
        more = "contract: {mode: shadow}\ninjection: {mode: shadow}\noperations: {}\n"
        policy = write_policy(tmp_path, more, upstream=upstream.url, openapi=DOCUMENT)
        keys = [make_key(policy, account=account) for account in ("first", "second")]
        with running_gateway(policy) as running:
            assert all(send(running, *one, key)[0] == 200 for one in TRAFFIC for key in keys)
            until(lambda: len(tune(policy)) >= 9)
            proposed = tune(policy, "--apply")
        exclusions = sorted(
            (one["change"]["value"]["operation"], one["change"]["value"]["field"], one["change"]["value"]["family"])
            for one in proposed if one["change"]["path"] == ["injection", "exclude"]
        )  # fmt: skip
        assert exclusions == [("add", "body:/documents/*", "sql"), ("add", "body:/documents/*", "xss"),
                              ("search", "body:/where/*", "nosql")]  # fmt: skip
        with running_gateway(policy) as running:
            assert all(send(running, *one, key)[0] == 200 for one in TRAFFIC for key in keys)
            assert send(running, "/search", {"ids": [], "where": {"q": quote("x")}}, keys[0])[0] == 200
            assert tune(policy) == []
        policy.write_text(policy.read_text().replace("mode: shadow", "mode: enforce"))
        with running_gateway(policy) as running:
            answers = [(one, send(running, *one, keys[0])) for one in (*TRAFFIC, *UNSEEN_ALIKE)]
            assert [one for one in answers if one[1][0] != 200] == []
            for target, body, code in STILL_REFUSED:
                assert send(running, target, body, keys[1])[1] == code
