"""Deciding many requests under the evaluation's policy, and counting."""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lab.injection import data, evasion, requests, suites
from sallygate.model.finding import Finding
from sallygate.offline.decide import Offline
from sallygate.offline.recordings import Recorded, UnreadableRequest, from_json

POLICY = """\
version: 1
openapi: none
identity: none
restrictions: {mode: off}
transport: {ambiguous_paths: allow}
injection: {mode: enforce}
"""
"""Default sensitivity, nothing excluded, no contract. Paths as recorded: what is ambiguous in them is another control's."""
EXAMPLES_MAX = 12
EVASION_SAMPLE = 1500
"""Attacks each mutation is tried on, drawn evenly over the families."""

Advance = Callable[[int], None]


@dataclass
class Count:
    """Refused of how many, with examples of those that were decided the wrong way."""

    refused: int = 0
    total: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.refused / self.total if self.total else 0.0

    def add(self, refused: bool, *, right: bool, example: str) -> None:
        self.refused += refused
        self.total += 1
        if not right and len(self.wrong) < EXAMPLES_MAX:
            self.wrong.append(example)


class Evaluation:
    def __init__(self, root: Path, policy: str = POLICY) -> None:
        self.root = root
        with tempfile.TemporaryDirectory(prefix="sallygate-lab-") as directory:
            file = Path(directory) / "sallygate.yaml"
            file.write_text(policy)
            self._offline = Offline(file)

    def decide(self, request: Recorded) -> tuple[Finding, ...]:
        """The findings a request is refused for; empty when it passes."""
        decision = self._offline.decide(request).decision
        return decision.findings if decision.verdict != "allow" else ()

    def honest_requests(self, advance: Advance, every: int = 1) -> dict[str, Count]:
        counts = {"all sites": Count(), "of which held out": Count()}
        reasons: Counter[str] = Counter()
        for number, line in enumerate(data.lines(data.find(self.root, "benign/wcp_legit_2023.jsonl.gz"))):
            advance(1)
            if number % every:
                continue
            try:
                findings = self.decide(from_json(line))
            except UnreadableRequest:
                continue
            said = _said(findings, f"{line['site']} {line['method']} {line['url'][:80]}")
            reasons.update({findings[0].code} if findings else ())
            counts["all sites"].add(bool(findings), right=not findings, example=said)
            if data.held_out_site(line["site"]):
                counts["of which held out"].add(bool(findings), right=not findings, example=said)
        self.reasons = reasons
        return counts

    def requests(self, named: Iterable[tuple[str, Recorded]], *, right_refused: bool) -> Count:
        """Requests by name, of which all are to be refused, or none."""
        count = Count()
        for name, request in named:
            findings = self.decide(request)
            count.add(bool(findings), right=bool(findings) == right_refused, example=_said(findings, name))
        return count

    def prompts(self, texts: Iterable[str]) -> Count:
        """Texts as the message of a user in a request to a language model."""
        count = Count()
        for text in texts:
            findings = self.decide(requests.prompt(text))
            count.add(bool(findings), right=not findings, example=_said(findings, text[:60]))
        return count

    def honest_texts(self, texts: Iterable[str], advance: Advance) -> dict[str, Count]:
        counts = {name: Count() for name in requests.PLACES}
        for text in texts:
            for name, place in requests.PLACES.items():
                findings = self.decide(place(text))
                counts[name].add(bool(findings), right=not findings, example=_said(findings, repr(text)))
            advance(1)
        return counts

    def attacks(self, payloads: Iterable[data.Payload], advance: Advance) -> dict[str, dict[str, Count]]:
        """By family, then by place, `any` for those refused in all four, and `held out` of these."""
        counts: dict[str, dict[str, Count]] = defaultdict(lambda: defaultdict(Count))
        for payload in payloads:
            by_location = counts[payload.family]
            everywhere = True
            for name, place in requests.PLACES.items():
                refused = bool(self.decide(place(payload.value)))
                by_location[name].add(refused, right=refused, example=repr(payload.value[:160]))
                everywhere &= refused
            by_location["everywhere"].add(everywhere, right=everywhere, example=repr(payload.value[:160]))
            if payload.held_out:
                by_location["held out"].add(everywhere, right=everywhere, example=repr(payload.value[:160]))
            advance(1)
        return counts

    def suite(self, cases: Iterable[suites.Case], advance: Advance) -> dict[str, Count]:
        counts = {"attacks": Count(), "honest": Count()}
        for case in cases:
            findings = self.decide(case.request)
            count = counts["attacks" if case.attack else "honest"]
            count.add(bool(findings), right=bool(findings) == case.attack, example=_said(findings, case.name[:200]))
            advance(1)
        return counts

    def evasions(self, payloads: list[data.Payload], advance: Advance) -> dict[str, Count]:
        """Of attacks refused in the open, how many are still refused under each mutation."""
        chance = random.Random(20_261)
        open_ones = [one for one in _spread(payloads, chance) if self.decide(requests.in_query(one.value))]
        counts = {name: Count() for name in evasion.MUTATIONS}
        for name, mutate in evasion.MUTATIONS.items():
            families = evasion.ONLY_FOR.get(name)
            for payload in open_ones:
                if families is not None and payload.family not in families:
                    continue
                refused = bool(self.decide(mutate(payload.value, chance)))
                counts[name].add(refused, right=refused, example=f"{payload.family} {payload.value[:160]!r}")
            advance(1)
        return counts


def _spread(payloads: list[data.Payload], chance: random.Random) -> list[data.Payload]:
    by_family: dict[str, list[data.Payload]] = defaultdict(list)
    for payload in payloads:
        by_family[payload.family].append(payload)
    each = EVASION_SAMPLE // len(by_family)
    return [one for of_family in by_family.values() for one in chance.sample(of_family, min(each, len(of_family)))]


def _said(findings: tuple[Finding, ...], what: str) -> str:
    if not findings:
        return what
    first = findings[0]
    return f"{what} → {first.code} {first.rule} at {first.where[:60]} ({first.evidence[:120]})"
