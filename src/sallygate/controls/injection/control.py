"""Control of injection: asks the judges about every value of a request, applies the policy, and gives findings and edits.

**Threat.** Values that change the statement, page, command, path, query, template or document they are put into (OWASP
API8 and API10; MITRE T1190, T1059, T1083): SQL, HTML and JavaScript, shells, paths, templates, NoSQL, LDAP, XPath, XML
entities, lookups (JNDI), header and mail lines, internal addresses (SSRF), serialised objects, prototypes, evaluated code,
GraphQL, scanners.

**Evidence.** `injection.<family>` (403) with the field, the rule, the score, the decodings undone and the matched span;
`injection.size` (413) and `injection.charset` (415) for what cannot be inspected.

**How.** All values of a request, joined, are scanned once (`prefilter`); most requests end there. Otherwise each value is
taken alone, in every form it may turn into (`decodings`), and the judges the prefilter calls for read it in the language of the
attack. A word is no attack; a structure that changes is.

**Known bypasses.** What an application decodes by itself, in a way of its own (a cipher, a second base64 within text), is
not seen. Payloads spread over several requests, or stored first and used later, neither. Files are not read (`upload`).
A body that is passed uninspected by the policy's own words is not inspected.

**Cost.** `docs/performance.md`; in proportion to the bytes, with the work a request may ask for bounded (`judging`)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, ClassVar, NamedTuple, cast

from msgspec.structs import replace

from sallygate.controls.injection.exclusions import ALL, Exclusions, covers, pattern
from sallygate.controls.injection.judges.breaking_out import breaks_out
from sallygate.controls.injection.judges.registry import JUDGES, compile_patterns, make_prefilter
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.field_stripping import strip_fields
from sallygate.controls.injection.pipeline.inspected_bodies import (
    as_text,
    codec_of,
    inspected_bytes,
    plan_body,
    read_body,
    too_large,
)
from sallygate.controls.injection.pipeline.judging import Effort, Judging, Seen
from sallygate.controls.injection.pipeline.placing import Placing
from sallygate.controls.injection.pipeline.prefilter import Prefilter
from sallygate.controls.injection.pipeline.shown_code import ShownCode
from sallygate.controls.injection.pipeline.spooled_bodies import spooled_values
from sallygate.controls.injection.pipeline.values import Value, texts_of, values_of
from sallygate.controls.injection.profiles import FieldProfiles, is_plain, text_beside, weight
from sallygate.controls.injection.reported_values import Reports
from sallygate.model.control import Everywhere
from sallygate.model.decision import Edit
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.request import EMPTY_BODY, Body, BodyPlan, RequestHead
from sallygate.parsing.edits import edit_body, edit_head
from sallygate.parsing.http.body import LIMITS, BodyLimits, plain_body, with_coding
from sallygate.parsing.http.forms import FormError
from sallygate.parsing.http.media_types import parse_content_type
from sallygate.parsing.openapi.confined import confined_fields
from sallygate.parsing.openapi.field_kinds import kinds_by_operation
from sallygate.policy.injection import Injection
from sallygate.policy.profile import Normal
from sallygate.policy.request_limits import body_limits
from sallygate.state.cleared_texts import ClearedTexts
from sallygate.state.parts import Parts

NEVER = 10
"""No score is so high."""
THRESHOLDS = {"relaxed": 8, "balanced": 5, "strict": 3}
"""From which score on a value is refused."""
SPAN_CHARS_MAX = 80
"""Of the matched text kept as evidence: enough to recognise an attack by."""
WHERE_CHARS_MAX = 160
"""Of a field's name, which the sender chose."""
NORMAL_MAX = 8
"""Normal structures of one value, one beside the other: of more, the rest counts as any."""
FINDINGS_MAX = 5
"""A request: the strongest, one a family and field."""


class InjectionControl(Everywhere):
    """A value that would be run, resolved or expanded by whatever language it lands in is refused."""

    name: ClassVar = "injection"
    section: ClassVar = "injection"

    def __init__(
        self,
        section: Injection,
        prefilter: Prefilter | None = None,
        confined: Mapping[str, frozenset[str]] | None = None,
        credentials: frozenset[str] = frozenset(),
        cleared: ClearedTexts | None = None,
        limits: BodyLimits = LIMITS,
        declared: Mapping[str, Mapping[str, str]] | None = None,
        normal: Iterable[Normal] = (),
    ) -> None:
        """`prefilter` is that of all judges, which controls may share; compiled here when it is None. `confined`: by
        operation, the places (`query:limit`) whose schema leaves no room for an attack; `credentials`:
        those (`header:x-api-key`) that hold what identity has checked, chance that may spell anything; `cleared`: texts known to hold
        nothing when read by these `credentials`; `limits`: of bodies that no contract reads; `declared`:
        kinds of fields by operation and place; `normal`: what the profile has of fields."""
        self._limits = limits
        self._strip = tuple(section.strip)
        self._threshold = THRESHOLDS[section.sensitivity]
        self._passes_shown_code = section.sensitivity != "strict"
        self._bytes_max = section.inspect
        self._uninspected = section.uninspected
        self._exclusions = Exclusions(section.exclude, section.kinds, declared)
        self._profiles = FieldProfiles(normal)
        self._applies_profiles = section.profiles == "apply"
        self._confined = confined or {}
        self._credentials = credentials
        self._cleared = cleared if cleared is not None else ClearedTexts()
        self._judging = Judging(JUDGES, prefilter or make_prefilter(compile_patterns()))
        self._placing = Placing(self._judging, self._threshold)
        self._shown_code = ShownCode(self._judging, self._threshold, breaks_out)

    @classmethod
    def build(cls, parts: Parts) -> InjectionControl:
        """The control of a policy."""
        section, loaded = parts.sections[cls.section], parts.loaded
        assert isinstance(section, Injection)
        # What a contract that is enforced confines needs no second look.
        confined = {
            operation: fields
            for operation, fields in confined_fields(loaded.operations, loaded.document).items()
            if parts.enforces_contract(operation)
        }
        judged = parts.credential_headers if parts.enforces("identity") else frozenset()
        prefilter = parts.prefilter
        assert prefilter is None or isinstance(prefilter, Prefilter)
        credentials = frozenset(f"header:{name.decode()}" for name in judged)
        return cls(
            section,
            prefilter,
            confined,
            credentials,
            parts.state.cleared_texts(credentials),
            body_limits(loaded.policy),
            kinds_by_operation(loaded.operations, loaded.document),
            loaded.profile.normal if loaded.profile is not None else (),
        )

    def plan(self, evaluation: Evaluation) -> Judgement | None:
        """Reads what would stream past, or says why it is not going to be read."""
        if evaluation.body_plan.mode != "stream":
            return None
        plan = self.plan_body(evaluation.head, evaluation.body_plan)
        if isinstance(plan, BodyPlan) and plan.mode in ("whole", "spool"):
            plan = with_coding(plan, evaluation.head)
            if isinstance(plan, Finding) and self._uninspected == "pass":
                return None
        return Judgement((plan,)) if isinstance(plan, Finding) else Judgement(body=plan)

    def examine(self, evaluation: Evaluation) -> Judgement | None:
        """What attacks."""
        body, read = evaluation.body, None
        raw, spool = evaluation.raw, evaluation.spool
        if spool is not None and evaluation.body_plan.kind != "none" and raw is None:
            raw = self._small(spool)
        if raw is not None and body is EMPTY_BODY:
            plain = plain_body(evaluation.body_plan, raw)
            found = (
                plain
                if isinstance(plain, Finding)
                else self.read(evaluation.head, evaluation.body_plan, plain, self._limits)
            )
            if isinstance(found, Finding):
                return Judgement((found,))
            body = read = found
        operation = evaluation.operation.id if evaluation.operation is not None else ""
        if spool is not None and raw is None and evaluation.body_plan.kind != "none":
            spooled = self.judge_spooled(operation, evaluation.head, evaluation.body_plan, evaluation.spool)
            return Judgement(spooled) if spooled else None
        findings, edits = self.judge(operation, evaluation.head, body)
        return Judgement(findings, parsed=read, edits=edits) if findings or read is not None else None

    def _small(self, file: object) -> bytes | None:
        """The bytes of a spooled body that is small enough to be inspected whole; None for a larger one."""
        spooled = cast(IO[bytes], file)
        spooled.seek(0)
        data = spooled.read(self._bytes_max + 1)
        return data if len(data) <= self._bytes_max else None

    def plan_body(self, head: RequestHead, plan: BodyPlan) -> BodyPlan | Finding:
        """The plan by which a body that would stream past is read instead; or why it is not going to be."""
        return plan_body(head, plan, self._bytes_max, self._uninspected) if plan.mode == "stream" else plan

    def read(self, head: RequestHead, plan: BodyPlan, raw: bytes, limits: BodyLimits) -> Body | Finding:
        """A body no contract reads."""
        return read_body(head, plan, raw, limits)

    def judge(self, operation: str, head: RequestHead, body: Body) -> tuple[tuple[Finding, ...], tuple[Edit, ...]]:
        """What attacks, strongest first, empty when nothing does; and, where the policy wants the fields that do
        stripped, the request without what offends: its findings then say so and ask for nothing."""
        if body.kind == "binary" and body.raw and body.tree is None:
            body = as_text(body.raw, body.media)
        if inspected_bytes(body) > self._bytes_max:
            if self._uninspected == "spool" and body.kind in ("json", "form", "text"):
                file = io.BytesIO(body.raw)
                return self.judge_spooled(operation, head, BodyPlan("whole", body.kind, media=body.media), file), ()
            if self._uninspected != "pass":
                return (too_large(self._bytes_max),), ()
            body = EMPTY_BODY
        found = self._look(operation, head, body)
        if not found:
            return (), ()
        places = frozenset(one.seen.value.where for one in found if not one.passes)
        if self._strip and places and all(_matches(place, self._strip) for place in places):
            edits = strip_fields(places, head, body)
            if edits is not None and self._is_clear(operation, head, body, edits):
                return tuple([_finding(one, stripped=True) for one in found]), edits
        return tuple([_finding(one) for one in found]), ()

    def judge_spooled(self, operation: str, head: RequestHead, plan: BodyPlan, file: object) -> tuple[Finding, ...]:
        """What attacks in the head, or in a body that lies in a file, a piece of it at a time."""
        found = self._look(operation, head, EMPTY_BODY)
        codec = codec_of(parse_content_type(head.fields.get("content-type", ""))) or "utf-8"
        assert hasattr(file, "read")
        try:
            for values in (
                () if _refuses(found) else spooled_values(cast(IO[bytes], file), plan.kind, plan.media, codec)
            ):
                effort = self._judging.looks([value.text for value in values], None)
                if effort is not None:
                    found = [*found, *self._found(operation, head, values, effort)]
                    if _refuses(found):
                        break
        except FormError as error:
            return (Finding("body.form", error.detail, 400, where="body:", rule=error.rule, owasp="API8"),)
        return tuple([_finding(one) for one in _strongest(found)])

    def _is_clear(self, operation: str, head: RequestHead, body: Body, edits: tuple[Edit, ...]) -> bool:
        """Whether nothing is seen in what `edits` leave."""
        try:
            return not _refuses(self._look(operation, edit_head(head, edits), edit_body(body, edits)))
        except FormError:  # what is left cannot be read in one way
            return False

    def _look(self, operation: str, head: RequestHead, body: Body) -> list[Found]:
        texts, fresh = texts_of(head, body, self._cleared, self._credentials)
        effort = self._judging.looks(texts, body.tree, len(body.raw))
        if effort is None:
            self._cleared.add(fresh)
            return []
        return _strongest(self._found(operation, head, values_of(head, body, self._judging.calls), effort))

    def _found(self, operation: str, head: RequestHead, values: Iterable[Value], effort: Effort) -> list[Found]:
        confined = self._confined.get(operation, frozenset()) | self._credentials
        reports = Reports(head.fields.get("content-type", ""))
        found: dict[tuple[str, str], Found] = {}
        for value in self._judging.called(values):
            if value.where in confined or len(value.text) < 2:
                continue
            excluded = self._exclusions.families(operation, head.path, value.where)
            if ALL in excluded:
                continue
            value = reports.without_own_host(value)
            stop = NEVER if self._exclusions or self._profiles or reports.at(value.where) else self._threshold
            for seen in self._judging.judge(value, effort, stop):
                evidence = seen.evidence
                if _is_routing(seen) or reports.holds(seen):
                    continue
                in_name = seen.value.kind in ("name", "json")
                if evidence.score < self._threshold or covers(
                    excluded, evidence.family, in_name=in_name, span=seen.span
                ):
                    continue
                left = self._left(operation, head, seen)
                if left is None and seen.value is not value:
                    # One piece of evidence a family is kept: another may stand elsewhere in the document that holds it.
                    left = self._left(operation, head, replace(seen, value=value))
                if left is not None and not reports.holds(left):
                    key = left.evidence.family, left.value.where
                    if key not in found or found[key].passes:
                        found[key] = (
                            self._weighed(operation, head, left, seen.value.text) if self._profiles else Found(left)
                        )
            if found and (effort.judged < 0 or sum(not one.passes for one in found.values()) >= FINDINGS_MAX):
                break
        return list(found.values())

    def _left(self, operation: str, head: RequestHead, seen: Seen) -> Seen | None:
        """What the policy's exclusions leave of evidence, at the place that an exclusion would name; None for nothing."""
        family, in_name = seen.evidence.family, seen.value.kind in ("name", "json")
        excluded = partial(self._exclusions.excludes, operation, head.path, family, in_name=in_name, span=seen.span)
        if family in ("effort", "encoding"):
            return None if excluded(seen.value.where) else seen
        if self._exclusions:
            kept = self._placing.kept(seen, head.segments, excluded)
            if kept is None:
                return None
            seen = kept
        shown = self._shown_code.left(seen) if self._passes_shown_code else seen
        return self._placing.placed(shown, head.segments) if shown is not None else None

    def _weighed(self, operation: str, head: RequestHead, seen: Seen, sent: str) -> Found:
        """Evidence as the profile has it: what is normal for its field weighs less, and then what stands beside it counts.
        `sent`: the value as it was sent."""
        left, where = seen, seen.value.where
        for _ in range(NORMAL_MAX):
            evidence = left.evidence
            normal = self._profiles.normal(operation, head.path, where, evidence.family, evidence.rule, left.span)
            if normal is None:
                break
            lighter = evidence.score - weight(evidence.family, evidence.rule, evidence.score)
            passes = self._applies_profiles and lighter < self._threshold and is_plain(evidence.family, sent)
            beside = text_beside(left) if passes else None
            if beside is None:
                return Found(left, normal)
            judged = self._judging.judge(beside, Effort(len(beside.text)), NEVER)
            others = (one for one in judged if one.evidence.family == evidence.family)
            other = next((one for one in others if one.evidence.score >= self._threshold), None)
            if other is not None and self._passes_shown_code:
                other = self._shown_code.left(other)
            if other is None:
                return Found(seen, normal, passes=True)
            left = replace(other, value=replace(other.value, where=where))
        return Found(left)

    def excludes(self, operation: str, head: RequestHead, family: str, where: str) -> bool:
        """Whether the policy excludes `family` there."""
        return self._exclusions.excludes(operation, head.path, family, where)


class Found(NamedTuple):
    """Evidence that the policy counts, and what the profile says of it."""

    seen: Seen
    normal: Normal | None = None
    """Why it is normal for its field; None if it is not."""
    passes: bool = False


def _refuses(found: Iterable[Found]) -> bool:
    return any(not one.passes for one in found)


def _strongest(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda one: (one.passes, -one.seen.evidence.score))[:FINDINGS_MAX]


_ROUTED = ("system-file", "kernel-file", "account-file")


def _is_routing(seen: Seen) -> bool:
    """Whether the name of a file stands within a path that does not climb: `/v1/proc/self` leads to an operation of the API,
    `/proc/self` at the root is what scanners ask for."""
    evidence, value = seen.evidence, seen.value
    if value.kind != "path" or evidence.rule not in _ROUTED or seen.form.steps:
        return False
    return evidence.start > 0 and not any(mark in value.text for mark in ("..", "\\", "\0", "%"))


_TAGS: dict[Family, tuple[str, str]] = {
    "ssrf": ("API7", "T1190"),
    "traversal": ("API8", "T1083"),
    "command": ("API8", "T1059"),
    "xss": ("API8", "T1059.007"),
    "scanner": ("API8", "T1595.002"),
    "graphql": ("API4", "T1499"),
    "effort": ("API4", "T1499"),
}


def _matches(place: str, patterns: Iterable[str]) -> bool:
    return any(pattern(one)(place) for one in patterns)


_STRIPPED = "The offending characters were taken out."
_NORMAL = "A value looks like an attack, and is normal for this field."
_ATTACK = "A value looks like an attack."


def _finding(found: Found, *, stripped: bool = False) -> Finding:
    seen, normal = found.seen, found.normal
    evidence, value = seen.evidence, seen.value
    passes = found.passes or stripped
    owasp, attack = _TAGS.get(evidence.family, ("API8", "T1190"))
    steps = " after " + ", ".join(seen.form.steps) if seen.form.steps else ""
    secret = _SECRET_NAME(value.where) or _SECRET_NAME(seen.span)
    span = "not shown" if secret else repr(_redacted(seen.span))
    said = f"score {evidence.score}, characters {evidence.start} to {evidence.end}{steps}: {span}"
    if normal is not None:
        said += f"; normal here: {normal.callers} of {normal.of} callers, {normal.requests} requests"
    return Finding(
        f"injection.{evidence.family}",
        _NORMAL if found.passes else _STRIPPED if stripped else _ATTACK,
        200 if passes else 403,
        "allow" if passes else "deny",
        where="".join(char if char.isprintable() else "?" for char in value.where[:WHERE_CHARS_MAX]),
        rule=evidence.rule,
        evidence=said,
        owasp=owasp,
        attack=attack,
    )


_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|session|auth|jwt|credential|(?:api|access|private).?key|\b(?:pin|cvv|cvc|otp)\b|cookie:",
    re.IGNORECASE,
).search
"""Fields whose values stay out of the evidence."""
_LONG_WORD = re.compile(r"([A-Za-z0-9+/_-]{4})[A-Za-z0-9+/_=-]{20,}")


def _redacted(span: str) -> str:
    """A matched span without what could be a key or a person's text: long words cut, the whole cut."""
    shown = span[:SPAN_CHARS_MAX] + ("…" if len(span) > SPAN_CHARS_MAX else "")
    return _LONG_WORD.sub(r"\1…", shown)
