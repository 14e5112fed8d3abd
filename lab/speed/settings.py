"""The APIs and policies that are measured, written to a directory of their own, with keys."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sallygate.admin.keys import Administration
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore

OPERATIONS = 200
WIDE = "rate: 1000000/s burst 1000000, quota: {hour: 1000000000, day: 1000000000}, data: {bytes: 100TB/day}"
"""Limits that count and are never reached."""
POLICY = """version: 1
openapi: openapi.json
identity: {api_keys: {header: X-API-Key}}
plans:
  wide: {WIDE, concurrent: 100000, scopes: [read, write]}
  used: {rate: 1/day burst 1, scopes: [read, write]}
limits: {address: 1000000/s burst 1000000, address_concurrent: 100000}
flood: {prefix: 1000000/s burst 1000000, prefix_concurrent: 100000, penalty: {refusals: 1000000/s burst 1000000}}
""".replace("WIDE", WIDE)

GET_TARGET = "/things57/12?limit=10&sort=asc"
POST_TARGET = "/things57"
POST_BODY = json.dumps(
    {**{f"a{n}": f"hello world {n}" for n in range(5)}, **{f"n{n}": n * 100 for n in range(5)}}
).encode()
ANSWER = b'{"items":[{"id":"a1"},{"id":"a2"}],"next":null}'


def openapi() -> dict[str, Any]:
    """200 operations over 100 collections: a GET with two query parameters, a POST with ten fields."""
    answers = {"responses": {"200": {"description": "ok"}}}
    texts = {f"a{n}": {"type": "string", "maxLength": 50} for n in range(5)}
    numbers = {f"n{n}": {"type": "integer", "minimum": 0} for n in range(5)}
    body = {"type": "object", "required": ["a0"], "properties": {**texts, **numbers}}
    paths: dict[str, Any] = {}
    for number in range(OPERATIONS // 2):
        paths[f"/things{number}/{{thingId}}"] = {
            "get": {
                "operationId": f"get{number}",
                "security": [{"key": ["read"]}],
                "parameters": [
                    {"name": "thingId", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                    {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["asc", "desc"]}},
                ],
                **answers,
            }
        }
        paths[f"/things{number}"] = {
            "post": {
                "operationId": f"post{number}",
                "security": [{"key": ["write"]}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                **answers,
            }
        }
    scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "measured", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"key": scheme}},
    }


@dataclass(frozen=True)
class Installed:
    policy: Path
    keys: dict[str, str] = field(default_factory=dict)
    """By plan."""

    @property
    def state(self) -> Path:
        return self.policy.parent / ".sallygate"


def install(directory: Path, more: str = "") -> Installed:
    """A policy, its contract and a key of each plan. `more` is added to the policy."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "openapi.json").write_text(json.dumps(openapi()))
    policy = directory / "sallygate.yaml"
    policy.write_text(POLICY + more)
    installation = Installation(directory / ".sallygate")
    store = SqliteStore(installation.database)
    try:
        admin = Administration(store, KeyRing(installation.pepper()), "lab")
        keys = {plan: admin.create_key(f"{plan}-account", plan)[1] for plan in ("wide", "used")}
    finally:
        store.close()
    return Installed(policy, keys)
