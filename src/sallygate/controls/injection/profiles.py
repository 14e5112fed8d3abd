"""Profile of an API's fields: evidence that honest callers send on purpose weighs less there.

A structure that is whole in itself, as a statement or a command line that a text shows, weighs 6 less where it is normal.
One that leaves what it stands in weighs 2 less: what was refused for sure stays refused. A value is let through only
if all of it is plain, and evidence is taken away one by one, so that a normal structure hides no other.

Refuses to know how a profile was learnt.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from sallygate.controls.injection.exclusions import pattern, runs_script
from sallygate.controls.injection.judges.breaking_out import breaks_out
from sallygate.controls.injection.pipeline.decodings import Forms
from sallygate.controls.injection.pipeline.evidence import CERTAIN, Family
from sallygate.controls.injection.pipeline.judging import WINDOW, Seen
from sallygate.controls.injection.pipeline.values import Value
from sallygate.policy.profile import Normal

WHOLE_WEIGHT, OTHER_WEIGHT = 6, 2
WHOLE: Mapping[str, frozenset[str]] = {
    "sql": frozenset("statement in-text where order-by list case table".split()),
    "command": frozenset("command-line device expansion next-line powershell program-path windows".split()),
    "code": frozenset("java-class node php-call php-variable python ruby".split()),
    "xss": frozenset("dialog-call document-sink fetched global-subscript module-loaded".split()),
    "template": frozenset("walks go tag".split()),
    "nosql": frozenset(("operator",)),
    "ssrf": frozenset(("internal-address",)),
    "graphql": frozenset(("introspection",)),
    "scanner": frozenset(("tool",)),
    "probe": frozenset(("metacharacters",)),
}
"""Rules of structures that are whole in themselves, by family."""
_LITERAL = r"'[\w .,:@/%+-]{0,80}'"
_QUERY = re.compile(
    rf"\s*(?:select|with)\b(?:[^'\"`\\;#-]|-(?!-)|(?<=[\s=(,<>]){_LITERAL}(?=[\s),]|\Z)){{1,8000}};?\s*", re.IGNORECASE
)
_NO_QUERY = re.compile(
    r"/\*|'\s*(?:or|and|union)\b|\b(?:into|outfile|dumpfile|sleep|pg_sleep|benchmark|waitfor|exec|execute|union|load_file|extractvalue|updatexml|"
    r"information_schema|pg_catalog|pg_\w+|sqlite_\w+|xp_\w+|sp_\w+|dbms_\w+|utl_\w+)\b",
    re.IGNORECASE,
)
_LEAVES = re.compile(r"\s*['\"`)\]};&|]|\s*\*/|\s*--").match
_MARKUP = re.compile(r"[<>]|javascript:", re.IGNORECASE).search


def weight(family: str, rule: str, score: int) -> int:
    """How much less a normal structure weighs. What is certain does not become light, but for a statement or an operator."""
    is_whole = rule in WHOLE.get(family, ()) and (score < CERTAIN or family in ("sql", "nosql"))
    return WHOLE_WEIGHT if is_whole else OTHER_WEIGHT


def is_plain(family: str, text: str) -> bool:
    """Whether a value is what it seems in every form, and leaves nothing it may stand in: of SQL one query that reads,
    with simple literals; of a shell no quote before a separator."""
    for form in Forms(text):
        if _LEAVES(form.text) is not None:
            return False
        if family == "sql" and (_QUERY.fullmatch(form.text) is None or _NO_QUERY.search(form.text) is not None):
            return False
        if family == "command" and breaks_out(form.text, "command"):
            return False
        if family == "xss" and _MARKUP(form.text) is not None:
            return False
    return True


def text_beside(seen: Seen) -> Value | None:
    """The value without the evidence seen in it; None where a long value was decoded, and nobody knows what is beside."""
    start, end, text = seen.evidence.start, seen.evidence.end, seen.form.text
    if text != seen.value.text and len(seen.value.text) > WINDOW:
        at = -1 if seen.form.steps != seen.value.steps else seen.value.text.find(text)
        if at < 0:
            return None
        start, end, text = start + at, end + at, seen.value.text
    return replace(seen.value, text=f"{text[:start]} that {text[end:]}", steps=seen.form.steps)


class FieldProfiles:
    """What is normal for the fields of one policy."""

    def __init__(self, normal: Iterable[Normal]) -> None:
        self._by_rule: dict[tuple[str, str], list[Normal]] = defaultdict(list)
        for one in normal:
            self._by_rule[one.family, one.rule].append(one)

    def __bool__(self) -> bool:
        return bool(self._by_rule)

    def normal(self, operation: str, path: str, where: str, family: Family, rule: str, span: str) -> Normal | None:
        """What says that a structure is normal there; None for what is not, and for an operator that runs a script."""
        if family == "nosql" and runs_script(span):
            return None
        for one in self._by_rule.get((family, rule), ()):
            here = one.operation == operation if one.operation is not None else pattern(one.path or "")(path)
            if here and pattern(one.field)(where):
                return one
        return None
