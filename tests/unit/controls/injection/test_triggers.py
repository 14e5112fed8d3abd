"""What the prefilter finds in a text alone it finds among the other values of a request: automata of nested bounded
repetitions were seen to miss matches where another beginning stood shortly before."""

from __future__ import annotations

import random
import re
import re._constants as kinds  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from typing import Any

from sallygate.controls.injection import compile_patterns
from sallygate.controls.injection.judges.registry import JUDGES
from sallygate.controls.injection.pipeline.prefilter import Prefilter
from sallygate.controls.injection.pipeline.values import BETWEEN

PRINTED = [chr(code) for code in range(32, 127)] + ["\t", "\n"]
CATEGORIES = {
    kinds.CATEGORY_SPACE: r"\s",
    kinds.CATEGORY_NOT_SPACE: r"\S",
    kinds.CATEGORY_WORD: r"\w",
    kinds.CATEGORY_NOT_WORD: r"\W",
    kinds.CATEGORY_DIGIT: r"\d",
    kinds.CATEGORY_NOT_DIGIT: r"\D",
}
SURFACES = (
    (
        "search\x1esearch\x1eq\x1e",
        "\x1eMozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\x1een-US,en;q=0.5",
    ),
    ("api\x1ev1\x1eitems\x1eid\x1e42\x1ename\x1e", "\x1elang\x1een" + " the quick brown fox" * 30),
)
EACH = 4


def one_of(items: list[tuple[Any, Any]]) -> list[str]:
    """The printed characters a class of an expression stands for."""
    chars: set[str] = set()
    for kind, value in items:
        if kind is kinds.LITERAL:
            chars.add(chr(value))
        elif kind is kinds.RANGE:
            chars.update(map(chr, range(value[0], value[1] + 1)))
        elif kind is kinds.CATEGORY:
            chars.update(char for char in PRINTED if re.match(CATEGORIES[value], char))
    return [char for char in PRINTED if char not in chars] if items[0][0] is kinds.NEGATE else sorted(chars)


def example(tree: Any, chance: random.Random) -> str:
    """A text an expression matches."""
    said = []
    for kind, value in tree:
        if kind is kinds.LITERAL:
            said.append(chr(value))
        elif kind is kinds.NOT_LITERAL:
            said.append(chance.choice([char for char in PRINTED if ord(char) != value]))
        elif kind is kinds.ANY:
            said.append(chance.choice(PRINTED))
        elif kind is kinds.IN:
            said.append(chance.choice(one_of(value)))
        elif kind is kinds.MAX_REPEAT:
            least, most, inner = value
            times = chance.randint(least, max(least, min(int(most), least + chance.choice((0, 1, 2, 12)))))
            said.extend(example(inner, chance) for _ in range(times))
        elif kind is kinds.SUBPATTERN:
            said.append(example(value[3], chance))
        elif kind is kinds.BRANCH:
            said.append(example(chance.choice(value[1]), chance))
    return "".join(said)


def test_a_trigger_fires_among_other_values_as_it_does_alone() -> None:
    chance = random.Random(20_261)
    prefilter = Prefilter([judge.triggers for judge in JUDGES], compile_patterns())
    missed, tried = [], 0
    for number, judge in enumerate(JUDGES):
        for index, expression in enumerate(judge.triggers):
            if not expression.isascii() or "\\xe" in expression or "\\xc" in expression:
                continue  # bytes of UTF-8, which `re` reads as characters
            tree = parser.parse(expression)
            for _ in range(EACH):
                text = example(tree, chance).removeprefix(BETWEEN).removesuffix(BETWEEN)
                if not re.search(expression, f"{BETWEEN}{text}{BETWEEN}", re.IGNORECASE | re.DOTALL):
                    continue  # what stands around it has to be something else
                tried += 1
                missed += [
                    (judge.name, expression, before + text)
                    for before, after in SURFACES
                    if index not in prefilter.hits(before + text + after).get(number, [])
                ]
    assert tried > 1500
    assert missed == []
