"""Profiles on the data: what is refused in a field of code before and after 1,000 honest requests of 20 callers.

The honest values are code blocks of README sections, half of them to learn from and half to ask about; the attacks are the
payloads of the evaluation, in the same field. Poisoners are 3 of the 20 callers, and send attacks alone.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.injection import data, requests
from lab.injection.evaluate import Count
from sallygate.model.event import Event, Location
from sallygate.offline.decide import Offline
from sallygate.offline.profiles import as_text, learn

CALLERS, POISONERS, REQUESTS, ATTACKS = 20, 3, 1000, 4000
_BLOCK = re.compile(r"^```[\w+-]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
POLICY = """\
version: 1
openapi: none
identity: none
restrictions: {mode: off}
injection: {profiles: PROFILES}
"""


@dataclass
class Measured:
    """What is refused before and after, and verdicts that poisoners changed."""

    honest_before: Count
    honest_after: Count
    attacks_after: Count
    changed: Count


def measure(sections: list[str], payloads: list[data.Payload]) -> Measured:
    """What the profile changes, with the same draw each time."""
    draw = random.Random(20261201)
    blocks = sorted({block for text in sections for block in _BLOCK.findall(text) if len(block) > 8})
    draw.shuffle(blocks)
    known, unseen = blocks[::2], blocks[1::2]
    attacks = [one.value for one in draw.sample(payloads, min(ATTACKS, len(payloads)))]
    with tempfile.TemporaryDirectory(prefix="sallygate-lab-") as directory:
        before = _gate(Path(directory), "off", [])
        honest = [_event(before, draw.choice(known), number % CALLERS, number) for number in range(REQUESTS)]
        after = _gate(Path(directory), "apply", honest)
        plain = [_event(before, "hello", number % CALLERS, number) for number in range(REQUESTS)]
        bad = [_event(before, attacks[number % len(attacks)], number % POISONERS, number) for number in range(REQUESTS)]
        poisoned = _gate(Path(directory), "apply", [*plain, *bad])
        changed = Count()
        for one in attacks[:REQUESTS]:
            differs = _is_refused(before, one) != _is_refused(poisoned, one)
            changed.add(differs, right=not differs, example=repr(one)[:80])
        return Measured(
            _count(before, unseen, right=False),
            _count(after, unseen, right=False),
            _count(after, attacks, right=True),
            changed,
        )


def _gate(directory: Path, profiles: str, events: list[Event]) -> Offline:
    (directory / "sallygate.profile.yaml").write_text(as_text(learn(events, 5, 0.25, 1).normal))
    file = directory / "sallygate.yaml"
    file.write_text(POLICY.replace("PROFILES", profiles))
    return Offline(file)


def _event(gate: Offline, value: str, caller: int, number: int) -> Event:
    request = requests.post(json.dumps({"code": value}).encode(), "application/json")
    decision = gate.decide(request).decision
    return Event(0.0, str(number), "", decision.verdict, decision.status or 200, "POST", request.raw_path.decode(),
                 "192.0.2.7", Location("192.0.2.0/24"), findings=decision.findings, account=f"caller-{caller}")  # fmt: skip


def _is_refused(gate: Offline, value: str) -> bool:
    request = requests.post(json.dumps({"code": value}).encode(), "application/json")
    return gate.decide(request).decision.verdict != "allow"


def _count(gate: Offline, values: list[str], *, right: bool) -> Count:
    count = Count()
    for value in values:
        refused = _is_refused(gate, value)
        count.add(refused, right=refused == right, example=repr(value)[:80])
    return count
