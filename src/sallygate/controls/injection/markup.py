"""HTML as a browser would take it: the tags of a text, opened wherever it lets them open.

Follows the tokenizer of the WHATWG HTML standard (section 13.2.5) where it is lenient, and older browsers where they
were more so: a tag opens at `<` and a letter, `/` parts attributes like a space, the last tag may stay unclosed,
control characters inside names count for nothing, and neither comments nor raw text hide a tag, since what surrounds
the value is not known. A quoted value that holds markup is read again as text of its own, a few levels deep: what a
sanitizer takes for an attribute a second parser may take for an element.

Refuses to know what a tag does: that is judged in `xss`.

Cost: one pass over the text, and one more over each level of quoted markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from msgspec import Struct

ATTRIBUTES_MAX = 400
"""Attributes read of one tag. The longest honest ones have some forty; an element with more is told of as `flooded`."""
NESTED_MAX = 3
"""Levels of markup in quoted values which are read again."""

_OPENED = re.compile(r"<[\x00-\x1f]*+([A-Za-z\x80-\uffff/?!%][^\s/>\"'=<]{0,80}+)")
_ATTRIBUTE = re.compile(
    r"[\s/\x00-\x20]*+"
    r"(?:(?P<end>>)"
    r"|(?P<name>=?[^\s/>=\x00\x0b]{0,2048}+(?:[\x00\x0b][^\s/>=\x00\x0b]{0,64}+){0,16}+)"
    r"(?P<rest>(?:[\s\x00-\x20]*+=[\s\x00-\x20]*+(?:\"([^\"]*+)\"?|'([^']*+)'?|`([^`>]*+)`|([^\s>]*+)))?+))"
)
_NOT_NAME = re.compile(r"[^a-z0-9:_.@-]+")
_NESTED = re.compile(r"<[\x00-\x1f]*[A-Za-z/!?]").search


_PLAIN = frozenset(
    name
    for element in (
        "a b i u p s em br hr h1 h2 h3 h4 h5 h6 li ol ul td th tr div pre sub sup dl dt dd span code small strong "
        "table tbody thead blockquote center font"
    ).split()
    for name in (element, "/" + element)
)
"""Without attributes these do nothing: the most of any text with markup, and passed over quickly."""


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


def tags_of(text: str) -> Iterator[Tag]:
    """Every tag of `text`, those in quoted values after the tag which holds them. Spans are those of the outermost."""
    pending: list[tuple[str, int, tuple[int, int] | None]] = [(text, 0, None)]
    while pending:
        part, depth, outer = pending.pop()
        at = 0
        while opened := _OPENED.search(part, at):
            if part.startswith(">", opened.end()) and opened[1].lower() in _PLAIN:
                at = opened.end()
                continue
            tag = _tag(part, opened)
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


def _tag(text: str, opened: re.Match[str]) -> Tag:
    name = opened[1].lower()
    start = opened.start()
    if name[0] in "!?%" and name[:9] not in ("!doctype", "!entity", "?import", "?xml-styl"):
        return Tag(name, (), start, opened.end(), True)
    attributes, end, closed, flooded = attributes_of(text, opened.end())
    plain = _NOT_NAME.sub("", name.lstrip("/"))
    plain = plain.rpartition(":")[2] or plain
    return Tag(
        "/" + plain if name[0] == "/" else plain if name[0] not in "!?%" else name,
        attributes,
        start,
        end,
        closed,
        flooded,
    )


def attributes_of(text: str, at: int) -> tuple[tuple[Attribute, ...], int, bool, bool]:
    """The attributes from `at` to the end of the tag; its end, whether in `>`, and whether there were too many."""
    found: list[Attribute] = []
    size = len(text)
    while at < size:
        part = _ATTRIBUTE.match(text, at)
        if part is None:
            break
        if part["end"]:
            return tuple(found), part.end(), True, False
        if part.end() == at:
            at += 1
            continue
        at = part.end()
        name = part["name"]
        if not name and not part["rest"]:
            continue
        value = part[4] or part[5] or part[6] or part[7] or ""
        if len(found) >= ATTRIBUTES_MAX:
            return tuple(found), at, False, True
        found.append(Attribute(name.lower(), html.unescape(value) if "&" in value else value))
    return tuple(found), size, False, False
