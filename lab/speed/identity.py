"""Section `identity`: what a token adds to a decision, seen before or new, and what a forged one costs once it is limited.

What is added is the difference to the same decision with nobody asked for who they are: the same request, the same policy
otherwise, taken in turns.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from lab.speed.engine import _HEADERS
from lab.speed.figures import Advance, Section, quantile
from lab.speed.settings import GET_TARGET, POLICY, WIDE, openapi
from sallygate.controls.identity import IdentityControl
from sallygate.controls.limits import LimitsControl
from sallygate.model.outcome import Admission
from sallygate.offline.decide import Offline

ROUNDS = 5
CACHED = 10_000
FRESH = 2_000
STEPS = ROUNDS
ISSUER = "https://id.example"
CACHED_US, FRESH_US = 5.0, 250.0
ALGORITHMS = {"ES256": "ES256", "Ed25519": "EdDSA", "RS256": "RS256"}

Key = ECKey | OKPKey | RSAKey


def _keys() -> dict[str, Key]:
    return {
        "ES256": ECKey.import_key(ec.generate_private_key(ec.SECP256R1())),
        "Ed25519": OKPKey.generate_key("Ed25519"),
        "RS256": RSAKey.generate_key(2048),
    }


class Bench:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.keys = _keys()
        published = [
            {**key.as_dict(private=False), "kid": name, "alg": ALGORITHMS[name]} for name, key in self.keys.items()
        ]
        (directory / "keys.json").write_text(json.dumps({"keys": published}))
        document: dict[str, Any] = openapi()
        (directory / "openapi.json").write_text(json.dumps(document))
        issuer = f"{{issuer: '{ISSUER}', jwks: keys.json, audience: api, plan: wide}}"
        text = POLICY.replace("WIDE", WIDE) + "injection: {mode: off}\n"
        before = "identity: {api_keys: {header: X-API-Key}}"
        self.now = time.time()
        self.gates = {}
        for name, section in {"asked": f"identity: {{jwt: [{issuer}]}}", "nobody": "identity: none"}.items():
            file = directory / f"{name}.yaml"
            file.write_text(text.replace(before, section))
            self.gates[name] = Offline(file).gate

    def token(self, name: str, number: int = 0) -> str:
        """As a provider's: 15 claims, about 900 characters."""
        claims = {
            "iss": ISSUER, "aud": "api", "sub": "8f1c0d2a-b47e-49aa-9c01-3a5b6c7d8e9f", "exp": int(self.now) + 3600,
            "iat": int(self.now), "nbf": int(self.now), "jti": f"{number:032x}", "scope": "read write", "azp": "app", "sid": "d3b07384",
            "acr": "1", "name": "Ada Lovelace", "email": "ada@example.org", "realm_access": {"roles": ["user", "reader"]},
            "preferred_username": "ada",
        }  # fmt: skip
        header = {"alg": ALGORITHMS[name], "typ": "at+jwt", "kid": name}
        return jws.serialize_compact(header, json.dumps(claims), self.keys[name], algorithms=[ALGORITHMS[name]])

    def timed(self, gate: str, tokens: list[str], expected: int = 200) -> float:
        """Median microseconds of a decision, from the head to the admission."""
        asked, now, clock = self.gates[gate], self.now, time.perf_counter_ns
        path, _, query = GET_TARGET.encode().partition(b"?")
        spent = []
        for text in tokens:
            headers = (*_HEADERS, (b"authorization", b"Bearer " + text.encode()))
            before = clock()
            head = asked.reader.read(
                method="GET", scheme="https", raw_path=path, raw_query=query, headers=headers, http_version="1.1",
                peer="192.0.2.7", request_id="0" * 32, now=now,
            )  # fmt: skip
            outcome = asked.engine.admit(head, now)
            for charge in outcome.charges:
                asked.state.tables[charge.table].take(charge.subject, now, charge.amount)
            spent.append((clock() - before) / 1000)
            status = 200 if type(outcome) is Admission else outcome.decision.status
            assert status == expected, (status, expected)
        return quantile(sorted(spent), 0.5)


def run(directory: Path, advance: Advance) -> Section:
    bench, section = Bench(directory / "identity"), Section("identity")
    seen: list[float] = []
    fresh: dict[str, list[float]] = {name: [] for name in ALGORITHMS}
    for number in range(ROUNDS):
        again = bench.token("ES256", number)
        bench.timed("asked", [again])
        nobody = bench.timed("nobody", [again] * CACHED)
        # A caller who is known is counted by its plan as well: that is the limits' share, not identity's.
        seen.append(bench.timed("asked", [again] * CACHED) - nobody - _limits_us(bench))
        for name in ALGORITHMS:
            new = [bench.token(name, 1000 * number + one + 1_000_000 * len(name)) for one in range(FRESH)]
            fresh[name].append(bench.timed("asked", new) - nobody)
        advance(f"identity, round {number + 1} of {ROUNDS}")
    section.add("token seen before, added to a decision", "µs", seen, CACHED_US)
    for name, added in fresh.items():
        section.add(f"new {name} token, added to a decision", "µs", added, FRESH_US if name != "RS256" else None)
    section.add("forged token over the limit, share of a new ES256 one", "×", [_limited(bench) / fresh["ES256"][0]])
    return section


def _limits_us(bench: Bench) -> float:
    """What the plan's limits take of a caller who is known: measured by themselves, on the same gate."""
    gate, now = bench.gates["asked"], bench.now
    head = gate.reader.read(
        method="GET", scheme="https", raw_path=b"/things57/12", raw_query=b"", headers=_HEADERS, http_version="1.1",
        peer="192.0.2.7", request_id="0" * 32, now=now,
    )  # fmt: skip
    limits, identity = gate.engine.controls.get(LimitsControl), gate.engine.controls.get(IdentityControl)
    assert limits is not None and identity is not None
    from sallygate.model.principal import Principal

    principal, spent, clock = (
        Principal("jwt:a:b", "limits-alone", "wide", frozenset(("read",)), "jwt"),
        [],
        time.perf_counter_ns,
    )
    for _ in range(CACHED):
        before = clock()
        judged = limits.judge_caller(head, principal, None, now)
        assert judged is not None
        gate.state.charge(judged.charges, now)
        spent.append((clock() - before) / 1000)
    return quantile(sorted(spent), 0.5)


def _limited(bench: Bench) -> float:
    good = bench.token("ES256", 7)
    head, payload, signature = good.split(".")
    forged = []
    for number in range(1000):
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        raw[number % 60] ^= 1 + number // 60
        forged.append(f"{head}.{payload}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}")
    bench.timed("asked", forged[:20], 401)
    return bench.timed("asked", forged[20:], 429)
