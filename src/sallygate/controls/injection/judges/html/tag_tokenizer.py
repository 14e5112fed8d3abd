"""Tokenizer of HTML tags that opens a tag wherever a browser would, in any text.

Follows the tokenizer of the WHATWG HTML standard (section 13.2.5) where it is lenient, and older browsers where they
were more so: a tag opens at `<` and a letter, `/` parts attributes like a space, the last tag may stay unclosed,
control characters inside names count for nothing, and neither comments nor raw text hide a tag, since what surrounds
the value is not known. A quoted value that holds markup is read again as text of its own, a few levels deep: what a
sanitizer takes for an attribute a second parser may take for an element.

Refuses to know what a tag does: that is judged in `xss_judge`.

Cost: one pass over the text, and one more over each level of quoted markup.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator

from hyperscan import HS_FLAG_CASELESS
from msgspec import Struct

from sallygate.controls.injection.pipeline.pattern_scans import Scan, superset

ATTRIBUTES_MAX = 400
"""Attributes read of one tag. The longest honest ones have some forty; an element with more is reported as `flooded`."""
NESTED_MAX = 3
"""Levels of markup in quoted values which are read again."""

_OPENED = re.compile(
    r"<(?!/?[A-Za-z][A-Za-z0-9]?>)[\x00-\x1f]*+((?:[A-Za-z\x80-\uffff/]|[!?](?=[DdEeIiXx]))[^\s/>\"'=<]{0,80}+)"
)
_ATTRIBUTE = re.compile(
    r"[\s/\x00-\x20]*+"
    r"(?:(?P<end>>)"
    r"|(?P<name>=?[^\s/>=\x00\x0b]{0,2048}+(?:[\x00\x0b][^\s/>=\x00\x0b]{0,64}+){0,16}+)"
    r"(?P<rest>(?:[\s\x00-\x20]*+=[\s\x00-\x20]*+(?:\"([^\"]*+)\"?|'([^']*+)'?|`([^`>]*+)`|([^\s>]*+)))?+))"
)
_NOT_NAME = re.compile(r"[^a-z0-9:_.@-]+")
_NESTED = re.compile(r"<[\x00-\x1f]*[A-Za-z/!?]").search


ACTING = frozenset(
    "script /script frameset isindex iframe frame fencedframe portal vmlframe embed object base xml applet import bgsound "
    "layer ilayer event-source use feimage animation listener handler style svg math form input button textarea select "
    "body meta link marquee template slot video audio".split()
)
"""Elements which do something by being there, or by attributes without a telling name."""
INERT_MAX, TELLING_MIN = 400, 8
"""Characters behind the name: more are read attribute by attribute, fewer than the shortest handler takes say nothing."""
_INERT = re.compile(r"(?:[\s/](?:[^<>\"'`:&=\x00]++|=(?:\"[^<>\"'`:&=\x00]*+\"|'[^<>\"'`:&=\x00]*+')?+)*+)?+>").match
_TELLING = re.compile(
    r"(?<![a-z0-9_-])on[a-z]{3}|style|srcdoc|formaction|attributename|datasrc|dataformatas|http-equiv", re.IGNORECASE
)
"""Tags of no attribute that tells, and no value that could be an address or markup, are passed over quickly too."""


_telling = Scan([superset(_TELLING.pattern)], HS_FLAG_CASELESS)
TELLING_MAX = 1024
"""Places in one text at which something tells. Of a text with more, every tag is read."""


def _networks_telling(text: str) -> list[int]:
    """Where what tells ends, and a place behind all others."""
    places: list[int] = []

    def hit(number: int, start: int, end: int, flags: int, context: object) -> bool:
        places.append(end)
        return len(places) > TELLING_MAX

    ended = _telling(text.encode("latin-1", "replace"), hit)
    return [*places, len(text) + 1] if ended else list(range(len(text) + 2))


class Attribute(Struct, frozen=True, gc=False):
    """One attribute: its name in lower case, its value with character references resolved."""

    name: str
    value: str


class Tag(Struct, frozen=True, gc=False):
    """One tag, and where it stands in the text it was found in."""

    name: str
    """Lower case, without a namespace's prefix; `/script` for an end tag, `!doctype`, `?xml` for declarations."""
    attributes: tuple[Attribute, ...]
    start: int
    end: int
    closed: bool
    """Whether it ends in `>`."""
    flooded: bool = False


def tags_of(text: str, inert_max: int) -> Iterator[Tag]:
    """Every tag of `text` that may tell something, those in quoted values after the tag which holds them. Spans are those
    of the outermost. Behind `inert_max` others, a tag without a name ends them where the reading did."""
    pending: list[tuple[str, int, tuple[int, int] | None]] = [(text, 0, None)]
    while pending:
        part, depth, outer = pending.pop()
        telling = _networks_telling(part)
        at = 0
        while opened := _OPENED.search(part, at):
            name = opened[1].lower()
            bare = name.isalnum() or (name[0] == "/" and name[1:].isalnum())
            if bare and name not in ACTING:
                at = opened.end()
                if part.startswith(">", at):
                    continue
                inert = _INERT(part, at)
                if inert is not None:
                    end = inert.end()
                    if end - at < TELLING_MIN or (end - at < INERT_MAX and telling[bisect_right(telling, at)] > end):
                        at = end
                        inert_max -= 1
                        if inert_max < 0:
                            yield Tag("", (), 0, outer[1] if outer is not None else at, True)
                            return
                        continue
            if name[0] in "!?" and name[:9] not in ("!doctype", "!entity", "?import", "?xml-styl"):
                at = opened.end()
                continue
            tag = _tag(part, name, opened)
            at = max(tag.end, opened.end())
            yield tag if outer is None else Tag(tag.name, tag.attributes, *outer, tag.closed, tag.flooded)
            if depth >= NESTED_MAX:
                continue
            span = (tag.start, tag.end) if outer is None else outer
            pending.extend(
                (attribute.value, depth + 1, span)
                for attribute in tag.attributes
                if "<" in attribute.value and _NESTED(attribute.value)
            )


def _tag(text: str, name: str, opened: re.Match[str]) -> Tag:
    start = opened.start()
    if text.startswith(">", opened.end()):
        found: tuple[tuple[Attribute, ...], int, bool, bool] = ((), opened.end() + 1, True, False)
    else:
        found = attributes_of(text, opened.end())
    if not name.isalnum() and name[0] not in "!?%":
        plain = _NOT_NAME.sub("", name.lstrip("/"))
        plain = plain.rpartition(":")[2] or plain
        name = "/" + plain if name[0] == "/" else plain
    attributes, end, closed, flooded = found
    return Tag(name, attributes, start, end, closed, flooded)


def attributes_of(text: str, at: int) -> tuple[tuple[Attribute, ...], int, bool, bool]:
    """The attributes from `at` to the end of the tag; its end, whether in `>`, and whether there were too many."""
    found: list[Attribute] = []
    size = len(text)
    while at < size:
        part = _ATTRIBUTE.match(text, at)
        if part is None:
            break
        closing, name, rest, *values = part.groups()
        if closing:
            return tuple(found), part.end(), True, False
        if part.end() == at:
            at += 1
            continue
        at = part.end()
        if not name and not rest:
            continue
        value = (values[0] or values[1] or values[2] or values[3] or "") if rest else ""
        if len(found) >= ATTRIBUTES_MAX:
            return tuple(found), at, False, True
        found.append(Attribute(name.lower(), html.unescape(value) if "&" in value else value))
    return tuple(found), size, False, False
