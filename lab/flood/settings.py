"""The policy, the contract, the keys, and what each kind of caller sends."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sallygate.admin.keys import Administration
from sallygate.policy.load import load_policy
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.services.injection_patterns import compiled_prefilter
from sallygate.stores.sqlite.store import SqliteStore
from sallygate.telemetry.log import open_log

STOLEN = 200
LOYAL = 6
QUOTAS = "quota: {hour: 10000000, day: 10000000}"
POLICY = f"""version: 1
openapi: openapi.json
identity: {{api_keys: {{header: X-API-Key}}}}
transport: {{trusted_hops: [127.0.0.0/8]}}
plans:
  partner: {{priority: high, rate: 100/s burst 200, {QUOTAS}, scopes: ["*"]}}
  free: {{priority: low, rate: 20/s burst 40, {QUOTAS}, scopes: ["*"]}}
"""
"""Limits are those a policy has that says nothing of them, but for quotas, which a lab would use up."""
BODY = '{"name":"a thing","price":12,"tags":["a","b"]}'


def openapi() -> dict[str, Any]:
    answers = {"responses": {"200": {"description": "ok"}}}
    keyed = {"security": [{"key": []}], **answers}
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}}
    thing = {
        "type": "object", "required": ["name"], "additionalProperties": False,
        "properties": {"name": {"type": "string", "maxLength": 50}, "price": {"type": "integer"},
                       "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 10}},
    }  # fmt: skip
    body = {"required": True, "content": {"application/json": {"schema": thing}}}
    return {
        "openapi": "3.1.0", "info": {"title": "things", "version": "1"},
        "paths": {
            "/things": {"get": {"operationId": "listThings", "parameters": [limit], **keyed},
                        "post": {"operationId": "createThing", "requestBody": body, **keyed}},
            "/news": {"get": {"operationId": "readNews", "security": [], "parameters": [limit], **answers}},
            "/export": {"get": {"operationId": "export", "security": [], **answers}},
            "/comments": {"post": {"operationId": "comment", "security": [], "requestBody": body, **answers}},
        },
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
    }  # fmt: skip


@dataclass(frozen=True)
class Installed:
    policy: Path
    loyal: list[str]
    stolen: list[str]

    @property
    def state(self) -> Path:
        return self.policy.parent / ".sallygate"


def install(directory: Path, more: str) -> Installed:
    """`more` says where the gate listens and where the API is."""
    directory.mkdir(parents=True)
    (directory / "openapi.json").write_text(json.dumps(openapi()))
    policy = directory / "sallygate.yaml"
    policy.write_text(POLICY + more)
    installation = Installation(directory / ".sallygate")
    store = SqliteStore(installation.database)
    try:
        admin = Administration(store, KeyRing(installation.pepper()), "lab")
        loyal = [admin.create_key(f"loyal-{number}", "partner")[1] for number in range(LOYAL)]
        stolen = [admin.create_key(f"stolen-{number}", "free")[1] for number in range(STOLEN)]
    finally:
        store.close()
    return Installed(policy, loyal, stolen)


TEMPLATE = "installed"
"""Beside the directories of the scenes: an installation whose patterns are compiled, made once."""


def install_copy(directory: Path, more: str) -> Installed:
    """As `install`, from the template: compiling the patterns takes ten seconds each time."""
    template = directory.parent / TEMPLATE
    if not template.exists():
        made = install(template, "")
        (template / "keys.json").write_text(json.dumps([made.loyal, made.stolen]))
        compiled_prefilter(load_policy(made.policy, "gateway"), Installation(made.state), open_log(quiet=True).info)
    shutil.copytree(template, directory)
    loyal, stolen = json.loads((directory / "keys.json").read_text())
    policy = directory / "sallygate.yaml"
    policy.write_text(POLICY + more)
    return Installed(policy, loyal, stolen)


def request(method: str, target: str, key: str = "", body: str = "", *, hop: bool = True) -> str:
    """As text; `@` stands for the address that the trusted hop names. Without `hop` its own address counts."""
    lines = [f"{method} {target} HTTP/1.1", "host: api.example", "user-agent: python-httpx/0.28", "accept: */*",
             "x-forwarded-proto: https"]  # fmt: skip
    if hop:
        lines.append("x-forwarded-for: @")
    if key:
        lines.append(f"x-api-key: {key}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def shot(kind: str, data: str, weight: float = 1.0, source: str = "") -> dict[str, Any]:
    return {"kind": kind, "data": data, "weight": weight, "source": source}


def loyal(keys: list[str]) -> list[dict[str, Any]]:
    """Two of three read."""
    made = []
    for key in keys:
        made.append(shot("loyal", request("GET", "/things?limit=10", key), 2))
        made.append(shot("loyal", request("POST", "/things", key, BODY), 1))
    return made


def guests() -> list[dict[str, Any]]:
    """Honest callers without a key, of what is public."""
    return [shot("guest", request("GET", "/news?limit=5"))]


def flood(kind: str, keys: list[str], sources: list[str]) -> list[dict[str, Any]]:
    """What honest callers send, from those who are none. `sources` are addresses of this machine; empty: the trusted
    hop names them."""
    made: list[dict[str, Any]] = []
    for source in sources or [""]:
        hop = not source
        if kind in ("no key", "mixture"):
            made.append(shot("no key", request("GET", "/news?limit=10", hop=hop), 5, source))
            made.append(shot("no key", request("POST", "/comments", body=BODY, hop=hop), 2, source))
            made.append(shot("no key", request("GET", "/things?limit=10", hop=hop), 2, source))
            made.append(shot("no key", request("POST", "/things", body=BODY, hop=hop), 1, source))
        if kind in ("stolen keys", "mixture"):
            for key in keys if hop else random.Random(source).sample(keys, min(len(keys), 5)):
                weight = 10 / (len(keys) if hop else 5)
                made.append(shot("stolen", request("GET", "/things?limit=10", key, hop=hop), weight * 2 / 3, source))
                made.append(shot("stolen", request("POST", "/things", key, BODY, hop=hop), weight / 3, source))
    return made


def addresses(count: int, seed: int) -> list[str]:
    """Of 100.64.0.0/10, which is nobody's: spread over its networks."""
    rng = random.Random(seed)
    return [f"100.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in rng.sample(range(1 << 22), count)]


def local_sources(count: int) -> list[str]:
    """Addresses of this machine, each in a network of its own."""
    return [f"127.{10 + n // 200}.{1 + n % 200}.7" for n in range(count)]
