"""Placing of evidence: which part of a value it stands in, and what is left of it without the excluded parts.

A document, and a path, are judged as a whole besides part by part, since an attack may lie across parts. What is found in
the whole is said of the part that shows it alone, so that the same attack has one place, and one exclusion covers it.

Refuses to know how exclusions are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from msgspec.json import encode
from msgspec.structs import replace

from sallygate.controls.injection.pipeline.document_places import deepest_place, without
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.judging import Effort, Judging, Seen
from sallygate.controls.injection.pipeline.nested_documents import document_in
from sallygate.controls.injection.pipeline.values import Value

PLACING_CHARS_MAX = 131_072
"""Characters judged again to place one piece of evidence. In a larger document the place is less deep."""
Excluded = Callable[[str], bool]
"""Whether the policy excludes a place from the family in question."""


class Placing:
    """Placing by the judges that found the evidence, with the score from which on they count."""

    def __init__(self, judging: Judging, threshold: int) -> None:
        self._judging = judging
        self._threshold = threshold

    def kept(self, seen: Seen, segments: Sequence[str], is_excluded: Excluded) -> Seen | None:
        """The evidence that is left when the excluded parts are not read; None where there is none. `segments` are those
        of the request's path."""
        value = seen.value
        if is_excluded(value.where):
            return None
        if value.where == "path:":
            parts = [part if not is_excluded(f"path:{at}") else "-" for at, part in enumerate(segments)]
            text = "/" + "/".join(parts)
            return seen if text == value.text else self._shown(replace(value, text=text), seen.evidence.family)
        if (tree := document_of(value)) is None:
            return seen
        left, changed = without(tree, value.where, is_excluded)
        return seen if not changed else self._shown(as_text(value, left), seen.evidence.family)

    def placed(self, seen: Seen, segments: Sequence[str]) -> Seen:
        """The evidence at the deepest part that shows it alone."""
        value, family = seen.value, seen.evidence.family
        if value.where == "path:":
            for at, part in enumerate(segments):
                if part and (shown := self._shown(replace(value, where=f"path:{at}", text=part), family)) is not None:
                    return shown
            return seen
        if (tree := document_of(value)) is None:
            return seen
        left = PLACING_CHARS_MAX

        def shows(part: object) -> bool:
            nonlocal left
            alone = as_text(value, part)
            if len(alone.text) > left:  # too large to look into; a smaller part may show it
                return False
            left -= len(alone.text)
            return self._shown(alone, family) is not None

        return replace(seen, value=replace(value, where=deepest_place(tree, value.where, shows)))

    def _shown(self, value: Value, family: Family) -> Seen | None:
        """The evidence of a family in a value that is judged by itself."""
        judged = self._judging.judge(value, Effort(len(value.text)), self._threshold)
        counts = (one for one in judged if one.evidence.family == family and one.evidence.score >= self._threshold)
        return next(counts, None)


def document_of(value: Value) -> object | None:
    """The object or array that a value spells; None for any other."""
    try:
        tree = document_in(value.text)
    except RecursionError:
        return None
    return tree if type(tree) in (dict, list) else None


def as_text(value: Value, tree: object) -> Value:
    """A value with a document written out as its text."""
    try:
        return replace(value, text=encode(tree).decode())
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, or a number of more than 64 bits
        return replace(value, text=json.dumps(tree))
