"""Judging of one request's values: which judges read which form of a value, and how much work that may take.

Each form of a value is scanned by the prefilter, and only the judges it calls for are asked, about windows of bounded
size. The work is bounded in characters judged and decoded, in proportion to the request: a request that asks for more
than any honest one needs is itself evidence (`effort`), as is a value that goes on decoding (`encoding`).

Refuses to know what the policy makes of the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from string import ascii_letters, digits

from msgspec import Struct
from msgspec.structs import replace

from sallygate.controls.injection.pipeline.decodings import FORMS_MAX, DocumentForms, Form, Forms, base64_texts
from sallygate.controls.injection.pipeline.evidence import ATTACK, Evidence, Family
from sallygate.controls.injection.pipeline.judge_interface import DOCUMENTS, TEXTS, Judge
from sallygate.controls.injection.pipeline.nested_documents import document_in
from sallygate.controls.injection.pipeline.prefilter import Prefilter
from sallygate.controls.injection.pipeline.values import (
    BETWEEN,
    DOCUMENT_BEGINS,
    FILE_MARK,
    NESTED_MAX,
    VALUE_SHORT,
    Kind,
    Value,
    json_values,
    spelled_in,
    together,
)

WINDOW = 8192
"""Characters judged at once. Longer than any published payload that is not padding."""
OVERLAP = 1024
"""Of two windows, so that what stands across a border stands whole in one."""
JUDGED_BASE, JUDGED_SHARE = 229_376, 0.5
"""Characters judges may read of one request, weighed by their cost: so many, and so many times the characters it has.
Prose, pages and programs are read by two or three judges at once; 64 KiB of them are judged whole."""
FORM_COST, FORM_SHARE = 192, 0.22
"""Characters that another form of a value counts for, and share of its own: it is made and scanned in the time in which
they are judged."""
VALUE_COST = 128
"""Characters that looking at a value by itself counts for."""
TOGETHER = 8
"""Short values are scanned so many at a time before each is looked at, and the square of it before that."""
FEW = 2
"""Values that are judged without a question: it would cost as much."""
ROUNDS_MAX = 5
"""Rounds in which those of some short values are found that are to be judged."""
VALUE_LONG = 1024
"""Characters, on average, from which on values are not scanned together."""
_ALPHANUMERIC = (ascii_letters + digits).encode()
DECODED_BASE, DECODED_SHARE = 65_536, 3
"""Characters of forms made of one request, likewise."""


class Seen(Struct, frozen=True, gc=False):
    """Evidence with the value it was seen in and the form of it."""

    value: Value
    form: Form
    evidence: Evidence

    @property
    def span(self) -> str:
        """Part of the form that the judge matched."""
        return self.form.text[self.evidence.start : self.evidence.end]


class Effort:
    """What one request may still cost."""

    __slots__ = ("clear_values", "clear_windows", "decoded", "judged")

    def __init__(self, characters: int) -> None:
        self.clear_windows: set[tuple[Kind, str]] = set()
        """Those in which nothing was seen, by the kind they were read as: the same one is not judged again."""
        self.clear_values: set[tuple[Kind, str]] = set()
        """Short values in which nothing was seen, in any form or document that they hold."""
        self.judged = JUDGED_BASE + JUDGED_SHARE * characters
        self.decoded = DECODED_BASE + DECODED_SHARE * characters


class Judging:
    """The judges of one policy behind their prefilter."""

    def __init__(self, judges: Sequence[Judge], prefilter: Prefilter) -> None:
        self._judges = tuple([(one.judge, one.kinds, one.cost, one.least) for one in judges])
        self._texts_in = tuple([(one.name, one.texts_in) for one in judges if one.texts_in is not None])
        self._prefilter = prefilter

    def looks(self, texts: list[str], whole: object, body_bytes: int = 0) -> Effort | None:
        """What may be spent on a request of these texts; None where nothing in them is to be judged, nor in what the words
        spell of a body that is one text as a `whole`. Few and long ones are not scanned together first: each is scanned by
        itself, once."""
        size = sum(map(len, texts)) + len(texts)
        if len(texts) * VALUE_LONG < size:
            return Effort(max(size, body_bytes) + sum(len(text) for text in texts if text[:1] in DOCUMENT_BEGINS))
        surface = together([*texts, *base64_texts(whole)] if isinstance(whole, str) else texts)
        return Effort(max(sum(map(len, surface)) + len(surface), body_bytes)) if self.calls(surface) else None

    def calls(self, surface: list[str]) -> bool:
        """Whether anything in the texts of a surface, or in what they decode to, is to be judged at all."""
        return any(map(self._calls, _joined(surface)))

    def _calls(self, joined: str) -> bool:
        if self._hit(joined):
            return True
        forms = Forms(joined)
        count = 1
        for form in islice(forms, 1, None):
            if self._hit(form.text) or any(self._hit(spelled) for spelled in base64_texts(form.text)):
                return True
            count += 1
        return forms.endless or count > FORMS_MAX  # some text may turn into what all together do not

    def called(self, values: Iterable[Value]) -> Iterator[Value]:
        """Those of `values` that may have to be judged. Short ones are asked about together first."""
        short: list[Value] = []
        for value in values:
            if len(value.text) > VALUE_SHORT or value.kind not in TEXTS or value.kind == "file":
                yield value
                continue
            short.append(value)
            if len(short) == TOGETHER * TOGETHER:
                yield from self._called_among(short)
                short = []
        yield from self._called_among(short)

    def _called_among(self, short: list[Value]) -> Iterator[Value]:
        """Those of some short values, found one round after the other where that is known, else by fewer at a time."""
        alike: dict[str, list[Value]] = {}
        for value in short:
            alike.setdefault(value.text, []).append(value)
        groups = list(alike.values())
        asked = [(number, [text, *spelled_in(text)]) for number, text in enumerate(alike)]
        for _ in range(ROUNDS_MAX):
            if len(asked) <= FEW:
                break
            found = self._round(asked)
            if found is None:
                break
            called, asked = found
            for number in called:
                yield from groups[number]
        yield from self._among_few([value for number, _ in asked for value in groups[number]])

    def _among_few(self, short: list[Value]) -> Iterator[Value]:
        if len(short) <= TOGETHER:
            yield from short
        elif self.calls(together([value.text for value in short])):
            for at in range(0, len(short), TOGETHER):
                few = short[at : at + TOGETHER]
                if self.calls(together([value.text for value in few])):
                    yield from few

    def _round(self, asked: list[tuple[int, list[str]]]) -> tuple[list[int], list[tuple[int, list[str]]]] | None:
        """Numbers of texts that are to be judged, and the texts that may be besides; None if it is not known. A trigger
        tells where it matched first: what stands before the first of all is not to be judged."""
        parts = [part for _, texts in asked for part in texts]
        origins = [at for at, (_, texts) in enumerate(asked) for _ in texts]
        called, open_ones = set[int](), set[int]()
        first = 0
        for joined in _joined(parts):
            count = joined.count(BETWEEN) + 1
            numbers = self._numbers_in(joined)
            if numbers is None or first + count > len(parts):
                return None  # a text that holds what stands between texts
            if numbers:
                called.update(origins[first + number] for number in numbers)
                open_ones.update(origins[first + min(numbers) : first + count])
            first += count
        if first != len(parts):
            return None
        return [asked[at][0] for at in sorted(called)], [asked[at] for at in sorted(open_ones - called)]

    def _numbers_in(self, joined: str) -> set[int] | None:
        """The same of texts that are joined, and of what all of them decode to."""
        between = joined.count(BETWEEN)
        called = set[int]()
        forms = Forms(joined)
        count = 0
        for form in islice(forms, FORMS_MAX + 1):
            count += 1
            if form.text.count(BETWEEN) != between or len(form.text) > WINDOW + OVERLAP:
                return None
            if form.steps and any(map(self._hit, base64_texts(form.text))):
                return None
            called |= self._prefilter.texts_hit(form.text)
        return None if forms.endless or count > FORMS_MAX else called

    def _hit(self, text: str) -> bool:
        return any(self._prefilter.hits(window) for window in _joined_windows(text))

    def judge(self, value: Value, effort: Effort, stop: int) -> list[Seen]:
        """Evidence in one value and the JSON it may hold, one a family and place, strongest first. Ends early at a score of
        `stop`, from which on more would change nothing."""
        best: dict[tuple[Family, str], Seen] = {}
        todo = [(value, 0)]
        while todo:
            inner, depth = todo.pop()
            if self._into(inner, depth, todo, effort, stop, best):
                break
        return sorted(best.values(), key=lambda seen: -seen.evidence.score)

    def _into(
        self,
        value: Value,
        depth: int,
        todo: list[tuple[Value, int]],
        effort: Effort,
        stop: int,
        best: dict[tuple[Family, str], Seen],
    ) -> bool:
        effort.judged -= VALUE_COST
        waiting, is_clear = len(todo), True
        if (value.kind, value.text) in effort.clear_values:
            if effort.judged < 0:
                _keep(best, Seen(value, Form(value.text), Evidence("effort", "too-much", ATTACK, 0, 0)))
            return effort.judged < 0
        kind, may_nest = value.kind, value.kind != "json" and depth < NESTED_MAX
        form = Form(value.text)
        try:
            tree = document_in(value.text) if may_nest else None
        except RecursionError:
            _keep(best, Seen(value, form, Evidence("encoding", "nested", ATTACK, 0, 0)))
            return False
        if is_nested := type(tree) in (dict, list):
            kind = "json"  # its texts are decoded each by itself
        forms = DocumentForms(value.text) if kind == "json" else Forms(value.text)
        for form in forms:
            effort.decoded -= len(form.text)
            if form.steps:
                effort.judged -= FORM_COST + len(form.text) * FORM_SHARE
            if form.steps:
                try:
                    tree = document_in(form.text) if may_nest and not is_nested else None
                except RecursionError:
                    _keep(best, Seen(value, form, Evidence("encoding", "nested", ATTACK, 0, 0)))
                    break
                kind = "json" if is_nested or type(tree) in (dict, list) else value.kind
            if tree is not None:
                steps = (*value.steps, *form.steps, "json")
                leaves = self.called(json_values(value.where, tree, self.calls))
                todo.extend((replace(leaf, steps=steps), depth + 1) for leaf in leaves)
            elif kind in TEXTS and depth < NESTED_MAX:
                for name, texts_in in self._texts_in:
                    if texts := texts_in(form.text):
                        steps = (*value.steps, *form.steps, name)
                        todo.extend((replace(value, text=text, steps=steps), NESTED_MAX) for text in texts)
            for found in self._of_form(value, kind, form, effort):
                for seen in found:
                    _keep(best, seen)
                    is_clear = False
                if any(seen.evidence.score >= stop for seen in best.values()):
                    return True  # every judge has had its say of this window, so that the surest one names it
            if effort.judged < 0 or effort.decoded < 0:
                _keep(best, Seen(value, form, Evidence("effort", "too-much", ATTACK, 0, 0)))
                return True
        if forms.endless:
            _keep(best, Seen(value, form, Evidence("encoding", "endless", ATTACK, 0, len(form.text))))
            return stop <= ATTACK
        # Of one that stands too deep to be looked into, what it holds is not known.
        if is_clear and len(todo) == waiting and depth < NESTED_MAX and len(value.text) <= VALUE_SHORT:
            effort.clear_values.add((value.kind, value.text))
        return False

    def _of_form(self, value: Value, kind: Kind, form: Form, effort: Effort) -> Iterable[list[Seen]]:
        """What is seen in each window of a form."""
        steps = (*value.steps, *form.steps)
        for window in _windows(form.text):
            if (kind, window) in effort.clear_windows:
                continue
            seen: list[Seen] = []
            size = 0.0
            hits = self._prefilter.hits(FILE_MARK + window if kind == "file" else window, kind in DOCUMENTS)
            for number in sorted(hits):
                judge, kinds, cost, least = self._judges[number]
                if kind not in kinds:
                    continue
                size = size or _weight(window)
                effort.judged -= max(size * cost, least)
                if effort.judged < 0:
                    break
                found = judge(window, hits[number])
                if found is not None:
                    seen.append(Seen(value, Form(window, steps), found))
            yield seen
            if effort.judged < 0:
                return
            if not seen:
                effort.clear_windows.add((kind, window))


def _weight(text: str) -> float:
    """What a text is to judges, in characters: of letters half as many as it has, of spaces and marks twice as many."""
    marks = len(text.encode("ascii", "ignore").translate(None, _ALPHANUMERIC))
    return (len(text) + 3 * marks) / 2


def _windows(text: str) -> Iterable[str]:
    if len(text) <= WINDOW:
        return (text,)
    return (text[at : at + WINDOW] for at in range(0, len(text) - OVERLAP, WINDOW - OVERLAP))


def _joined(texts: list[str]) -> Iterator[str]:
    """Each between two `BETWEEN`, as it stands when it is judged alone; about a window at a time, and each of them whole:
    what is cut before it is decoded may spell nothing."""
    some = max(1, WINDOW * len(texts) // (sum(map(len, texts)) + 1))
    return (BETWEEN.join(texts[at : at + some]) for at in range(0, len(texts), some))


def _joined_windows(text: str) -> Iterator[str]:
    """The same of a joined text, cut between values where that is possible: what is cut through looks as if it ended."""
    at, size = 0, len(text)
    while True:
        end = at + WINDOW
        if end + OVERLAP >= size:
            yield text[at:]
            return
        if (between := text.find(BETWEEN, end, end + OVERLAP)) >= 0:
            end = between
        yield text[at:end]
        at = end - OVERLAP
        if (between := text.rfind(BETWEEN, at - OVERLAP, at)) >= 0:
            at = between + 1


def _keep(best: dict[tuple[Family, str], Seen], seen: Seen) -> None:
    key = seen.evidence.family, seen.value.where
    known = best.get(key)
    if known is None or seen.evidence.score > known.evidence.score:
        best[key] = seen
