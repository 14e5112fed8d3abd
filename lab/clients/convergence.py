"""From shadow to enforce: a product's client through the gate, until `sallygate tune` has nothing more to propose.

The steps are those of a user: `init --shadow`, honest traffic of two accounts, `tune --apply`, traffic again, `enforce`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from lab.clients.products import Product, served, wait_until_ready
from lab.speed.servers import Missing, free_port
from sallygate.stores.events import read_events

ROUNDS_MAX = 4
"""Rounds of traffic and `tune` in shadow; one that proposes nothing new ends them."""
CLIENT_S = 300
SALLYGATE = (sys.executable, "-m", "sallygate")


class Outcome(Struct, frozen=True):
    """What came of one product."""

    product: str
    requests: int
    """Requests of the client through the gate when all is enforced."""
    refused: dict[str, int]
    """Refusals then, by reason."""
    differences: tuple[str, ...]
    """Steps of the script whose answers differ from those without the gate."""
    changes: tuple[int, ...]
    """Changes that `tune` proposed, by round."""
    sockets: int
    """WebSockets that the client asked for and did without."""
    policy: str

    @property
    def good(self) -> bool:
        return not self.refused and not self.differences and self.changes[-1] == 0


def run(product: Product, installed: Path, directory: Path) -> Outcome:
    """The whole way of one product. Raises `Missing` where product or client cannot run at all."""
    directory.mkdir(parents=True, exist_ok=True)
    with served(product, installed, directory / "data", free_port(), directory / "product.log") as url:
        plain = _client(product, installed, url, "", "", "direct")
        policy = _init(product, url, directory)
        header = _header(policy)
        keys = [_key(policy, account) for account in ("first", "second")]
        proposed: list[int] = []
        while len(proposed) < ROUNDS_MAX and (not proposed or proposed[-1]):
            with _gate(policy, directory) as gate:
                for key in keys:
                    _client(product, installed, gate, header, key, f"shadow{len(proposed)}{key[-4:].lower()}")
            proposed.append(len(json.loads(_sallygate("tune", str(policy), "--apply", "--json"))["proposed"]))
        policy.write_text(policy.read_text().replace("mode: shadow", "mode: enforce"))
        _sallygate("check", str(policy))
        with _gate(policy, directory) as gate:
            before = _sequence(policy)
            guarded = _client(product, installed, gate, header, keys[0], "enforced")
        events = [event for event in read_events(policy.parent / ".sallygate/events", 0) if event.seq > before]
        asked = [event for event in events if event.kind in ("exchange", "early")]
        exchanges = [event for event in asked if not product.sockets or event.path != product.sockets]
        refused = Counter(
            f"{event.method} {event.path}: {finding.code} {finding.where} {finding.rule}"
            for event in exchanges if event.decision != "allow"
            for finding in event.findings[:1]
        )  # fmt: skip
        return Outcome(
            product.name, sum(event.count for event in exchanges), dict(refused), _differences(plain, guarded),
            tuple(proposed), len(asked) - len(exchanges), policy.read_text(),
        )  # fmt: skip


def _init(product: Product, url: str, directory: Path) -> Path:
    policy = directory / "sallygate.yaml"
    document = product.document if product.document == "none" else url + product.document
    _sallygate("init", "--openapi", document, "--upstream", url, "--out", str(policy), "--shadow")
    policy.write_text(policy.read_text().replace("127.0.0.1:8443", f"127.0.0.1:{free_port()}"))
    return policy


def _header(policy: Path) -> str:
    return policy.read_text().partition("api_keys: {header: ")[2].partition("}")[0].partition(",")[0]


def _key(policy: Path, account: str) -> str:
    words = ("keys", "create", "-p", str(policy), "--account", account, "--plan", "free", "--json")
    return str(json.loads(_sallygate(*words))["key"])


def _sequence(policy: Path) -> int:
    return max((event.seq for event in read_events(policy.parent / ".sallygate/events", 0)), default=0)


@contextmanager
def _gate(policy: Path, directory: Path) -> Iterator[str]:
    port = policy.read_text().partition("https: 127.0.0.1:")[2].partition("\n")[0].strip()
    management = free_port()
    text = policy.read_text()
    served_policy = text if "management" in text else text.replace(
        f"https: 127.0.0.1:{port}", f"https: 127.0.0.1:{port}\n  management: 127.0.0.1:{management}", 1)  # fmt: skip
    if served_policy is not text:
        policy.write_text(served_policy)
    else:
        management = int(text.partition("management: 127.0.0.1:")[2].partition("\n")[0])
    log = directory / "gate.log"
    with log.open("ab") as stream:
        process = subprocess.Popen([*SALLYGATE, "up", str(policy)], stdout=stream, stderr=stream)
    try:
        wait_until_ready(f"http://127.0.0.1:{management}/readyz", process, log)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _client(product: Product, installed: Path, url: str, header: str, key: str, name: str) -> list[dict[str, object]]:
    """The script's answers, a step each, with its own name taken out."""
    words = [*product.client(installed), url, header or "X-API-Key", key, name]
    environment = {**os.environ, **product.environment, "NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONWARNINGS": "ignore"}
    environment["PREFECT_HOME"] = str(installed / "client")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=CLIENT_S, check=False)
    steps = [json.loads(line.replace(name, "NAME")) for line in done.stdout.splitlines() if line.startswith('{"step')]
    if not steps or (done.returncode and not key):
        raise Missing(f"the client of {product.name} failed: {done.stderr.strip()[-800:]}")
    if done.returncode:
        steps.append({"step": "failed", "value": done.stderr.strip()[-800:]})
    return steps


def _differences(plain: list[dict[str, object]], guarded: list[dict[str, object]]) -> tuple[str, ...]:
    """Steps answered differently, or not at all."""
    wanted = [json.dumps(step, sort_keys=True) for step in plain]
    given = [json.dumps(step, sort_keys=True) for step in guarded]
    missing = [f"without the gate: {step}"[:300] for step in wanted if step not in given]
    return (*missing, *(f"behind the gate: {step}"[:900] for step in given if step not in wanted))


def _sallygate(*words: str) -> str:
    done = subprocess.run([*SALLYGATE, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"sallygate {' '.join(words)}: {(done.stdout + done.stderr).strip()[-600:]}")
    return done.stdout
