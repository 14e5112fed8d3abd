"""Values of a request with their places, and all values joined as one text for the prefilter.

Two views of the same places. The *surface* is one text, joined and cheap to make, which the prefilter scans; nothing is
ever refused for what stands there. The *values* are made only when the surface was hit: each text an application would
get, with the name it would get it by. What is in the values is in the surface, otherwise an attack would pass unseen.

Refuses to know any attack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Literal, TypeVar

from msgspec import Struct

from sallygate.controls.injection.pipeline.decodings import (
    BASE64_CHARS_MIN,
    BLANK_BASE64,
    base64_text,
    base64_texts,
    from_base64,
    utf8,
)
from sallygate.controls.injection.pipeline.header_fields import ATTACK_MARKS, SPECIAL, UNREAD, credential_in, kind_of
from sallygate.controls.injection.pipeline.nested_documents import mixed_texts, xml_texts
from sallygate.model.request import Body, Part, RequestHead
from sallygate.parsing.pointers import escape_pointer
from sallygate.state.cleared_texts import ClearedTexts, Reading

BETWEEN = "\x1e"
"""Stands between joined values: no honest value holds it (ASCII's record separator)."""
FILE_MARK = "\x1d" + BETWEEN
"""Stands before the name of a file, so that only those are looked at as such, and it like any value, too."""
VALUE_SHORT = 256
"""Characters of a value that is asked about together with others."""
ROW, ROWS, ROW_MIN = 64, 8, 16
"""Members or elements asked about together, and rows of them; fewer are soon looked at one by one."""
TEXT_SHORT = 16_384
"""Characters of a body that is one text, up to which it is looked at in pieces before anything calls."""
NESTED_MAX = 3
"""JSON within a string within JSON, so many times."""
WHERE_CHARS_MAX = 256
"""Of a place within a document, whose names the sender chose; a deeper one is named by its beginning."""
FILE_BYTES_MAX = 65_536
"""Of a file whose media type is text, to be read like a field. Larger ones are files like others."""

T = TypeVar("T")
Kind = Literal["path", "query", "name", "header", "hop", "cookie", "body", "file", "xml", "json"]
"""`hop`: a header that applications do not read, but that logs and gateways write down; `xml`, `json`: a whole document,
whose texts are values of their own."""

DOCUMENT_BEGINS = frozenset(("{", "[", '"'))
"""What a document of JSON begins with."""
_DOCUMENTS = re.compile(rf'{BETWEEN}\s*+(?:[{{["]|(?:query|mutation|subscription|fragment)\b)').search
_DOCUMENT = re.compile(r'\s*+(?:[{["]|(?:query|mutation|subscription|fragment)\b)').match
"""Of JSON or GraphQL, whose texts are values."""
_TOKEN_PARTS = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?=={0,2}\.)|(?<=\.)eyJ[A-Za-z0-9_-]{8,}").findall
"""What JSON Web Tokens and signed cookies are made of."""
_BASE64_PARTS = re.compile(
    rf"{BETWEEN}([A-Za-z0-9+/_-]{{{BASE64_CHARS_MIN},}}={{0,4}}|{BLANK_BASE64})(?={BETWEEN})"
).findall
_NAME, _TEXT = itemgetter(0), itemgetter(1)
_TELLING_NAMES = ("constructor", "json_class", "__type", *(BETWEEN + mark for mark in "$@^&"))
"""What names of members hold that tell something together with what they name: the document is looked at as a whole."""
_IDENTIFIER = re.compile(r"[\w.$\[\]-]{1,64}").fullmatch
_QUOTES = re.compile(r'\\*+"')


class Value(Struct, frozen=True, gc=False):
    """One text an application gets."""

    where: str
    """`query:q`, `path:2`, `header:referer`, `cookie:sid`, `body:/items/0/name`."""
    text: str
    kind: Kind
    steps: tuple[str, ...] = ()
    """What was undone to get here: decodings, `json` for a leaf of a document in a string."""


def texts_of(
    head: RequestHead, body: Body, cleared: ClearedTexts, checked: frozenset[str] = frozenset()
) -> tuple[list[str], dict[Reading, list[str]]]:
    """The texts of all values of a request, but for header fields and names that are `cleared`; and those that are not
    yet. Of the places of credentials that were `checked` before, nothing is read as one."""
    parts = ["/" + "/".join(head.segments), *head.segments]
    fresh: list[str] = []
    cookies: list[str] = []
    credentials: list[str] = []
    known, known_cookies, known_credentials = cleared["plain"], cleared["cookie"], cleared["credential"]
    for pair in head.query:
        parts += pair
    connection = ""
    for name, field in head.fields.items():
        kind = SPECIAL.get(name)
        if kind is None:
            if _is_odd_header(name):
                parts.append(name)
            if field not in known:
                parts.append(field)
                fresh.append(field)
        elif kind == "hop":
            connection += BETWEEN + field
            if name == "authorization" and field not in known_credentials and "header:authorization" not in checked:
                parts.append(credential_in(field))
                credentials.append(field)
        elif kind == "unread":
            if "{" in field:
                connection += BETWEEN + field
        elif kind == "cookie":
            if field not in known_cookies:
                cookies.append(field)
                parts.append(field)
                for cookie_name, cookie in _cookies(field):
                    parts += (cookie_name, cookie)
        elif kind == "file":
            parts.append(FILE_MARK + field)
    if any(mark in connection for mark in ATTACK_MARKS):
        parts.append(connection)
    if body.kind != "none":
        texts, names = _body_texts(body)
        new = [name for name in dict.fromkeys(names) if name not in known]
        fresh += new
        parts += texts
        parts += new
    return parts, {"plain": fresh, "cookie": cookies, "credential": credentials}


def together(parts: list[str]) -> list[str]:
    """The surface of texts: themselves, and what is spelled in those of base64 and in documents."""
    edged = f"{BETWEEN}{BETWEEN.join(parts)}{BETWEEN}"
    spelled = [text for word in _BASE64_PARTS(edged) if (text := base64_text(word)) is not None]
    if "eyJ" in edged:
        spelled += [
            _QUOTES.sub(BETWEEN, text) for word in _TOKEN_PARTS(edged) if (text := from_base64(word)) is not None
        ]
    if _DOCUMENTS(edged):
        for part in parts:
            if _DOCUMENT(part):
                spelled.append(_QUOTES.sub(BETWEEN, part))
                spelled += base64_texts(part)
    return [*parts, *spelled]


def spelled_in(text: str) -> list[str]:
    """What one text spells by base64, and the pieces of one that is a document: what `together` has of it besides."""
    spelled: list[str] = []
    if len(text) >= BASE64_CHARS_MIN:
        for word in _BASE64_PARTS(f"{BETWEEN}{text}{BETWEEN}"):
            if (found := base64_text(word)) is not None:
                spelled.append(found)
        if "eyJ" in text:
            spelled += [found for word in _TOKEN_PARTS(text) if (found := from_base64(word)) is not None]
    if _DOCUMENT(text):
        spelled += [text, *base64_texts(text)]
    return [piece for one in spelled for piece in _QUOTES.sub(BETWEEN, one).split(BETWEEN)] if spelled else spelled


def _body_texts(body: Body) -> tuple[list[str], Iterable[str]]:
    """Texts, and the names they go by."""
    tree = body.tree
    if body.kind == "json":
        leaves, keys = _leaves_and_keys(tree)
        joined = f"{BETWEEN}{BETWEEN.join(keys)}".lower()
        if any(mark in joined for mark in _TELLING_NAMES):
            leaves.append(utf8(body.raw))
        return leaves, keys
    if body.kind == "form":
        return [value for _, value in tree], [name for name, _ in tree]  # type: ignore[attr-defined]
    texts: list[str] = []
    if body.kind == "multipart":
        names = []
        for part in tree:  # type: ignore[attr-defined]
            names.append(part.name)
            texts += part.others
            if part.filename is not None:
                texts.append(FILE_MARK + part.filename)
            if (text := part_text(part)) is not None:
                texts += _pieces(text, part.media, part.name)
        return texts, names
    return _pieces(tree, body.media) if isinstance(tree, str) else [], ()


def _pieces(text: str, media: str, where: str = "body:") -> list[str]:
    """The texts of the values a text is, of a long one itself: that is not scanned among others."""
    return [value.text for value in text_values(text, media, where)] if len(text) < TEXT_SHORT else [text]


def _leaves_and_keys(tree: Any) -> tuple[list[str], list[str]]:
    leaves: list[str] = []
    keys: list[str] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if type(node) is str:
            leaves.append(node)
        elif type(node) is dict:
            keys += node
            stack.extend(node.values())
        elif type(node) is list:
            stack.extend(node)
    return leaves, keys


def part_text(part: Part) -> str | None:
    """The text of a multipart part: a field's, or a small file's where its type is one that applications read as text.
    None for other files: their bytes are for the guard on uploads."""
    if part.filename and not (_is_text(part.media) and len(part.data) <= FILE_BYTES_MAX):
        return None
    return part.data.decode("utf-8", "replace")


def _is_text(media: str) -> bool:
    return media.endswith(("json", "xml", "x-www-form-urlencoded", "graphql", "yaml", "svg+xml"))


Calls = Callable[[list[str]], bool]
"""Whether anything in the texts of a surface is to be judged."""


def values_of(head: RequestHead, body: Body, calls: Calls) -> Iterator[Value]:
    """Every value with its place, those of the head first; but for rows of a document of JSON in which nothing calls."""
    yield from _target_values(head, calls)
    yield from _header_values(head.fields)
    if body.kind != "none":
        yield from _body_values(body, calls)


def _target_values(head: RequestHead, calls: Calls) -> Iterator[Value]:
    yield Value("path:", "/" + "/".join(head.segments), "path")
    for at, segment in enumerate(head.segments):
        if len(segment) > 1:
            yield Value(f"path:{at}", segment, "path")
    yield from _pairs("query:", head.query, "query", calls)


def _pairs(place: str, pairs: Sequence[tuple[str, str]], kind: Kind, calls: Calls) -> Iterator[Value]:
    for _, row in _rows(pairs, _texts_of_pairs, calls):
        for name, value in row:
            yield from _named(place, name, value, kind)
    yield from _joined(place, pairs)


def _texts_of_pairs(row: Sequence[tuple[str, str]]) -> list[str]:
    texts = list(chain.from_iterable(row))
    odd = {name for name in dict(row) if not (name.isidentifier() or _IDENTIFIER(name))}
    return texts + [f"{name}={value}" for name, value in row if name in odd] if odd else texts


def _named(place: str, name: str, value: str, kind: Kind) -> Iterator[Value]:
    if value:
        yield Value(place + name, value, kind)
    if len(name) > 2 and not name.isalnum():
        yield Value(place + name, name, "name")
        if value and not _IDENTIFIER(name):
            # A query without names, or a text with a `=` in it: the pieces are one text to an application that reads the raw query.
            yield Value(place + name, f"{name}={value}", kind)


def _joined(place: str, pairs: Sequence[tuple[str, str]]) -> Iterator[Value]:
    """Repeated names as ASP.NET and CGI.pm hand them over: a payload spread over them meets again there."""
    if len(dict(pairs)) == len(pairs):
        return
    for name, same in groupby(sorted(pairs, key=_NAME), _NAME):
        texts = list(map(_TEXT, same))
        if len(texts) > 1:
            yield Value(place + name, ",".join(texts), "query")


def _header_values(fields: Mapping[str, str]) -> Iterator[Value]:
    for name, value in fields.items():
        if name == "cookie":
            yield from _cookie_values(value)
        elif name not in UNREAD or "{" in value:
            yield Value("header:" + name, _as_utf8(value), kind_of(name, value))
            if name == "authorization":
                yield Value("header:" + name, credential_in(value), "header")
            if _is_odd_header(name):
                yield Value("header:" + name, name, "name")


def _is_odd_header(name: str) -> bool:
    return len(name) > 8 and "-" not in name


def _cookie_values(field: str) -> Iterator[Value]:
    for name, value in _cookies(field):
        yield from _named("cookie:", _as_utf8(name), _as_utf8(value), "cookie")


def _cookies(field: str) -> Iterator[tuple[str, str]]:
    for pair in field.split(";"):
        name, _, value = pair.strip().partition("=")
        yield name, value.strip('"')


def _as_utf8(text: str) -> str:
    """Header fields are read as Latin-1; most senders mean UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _body_values(body: Body, calls: Calls) -> Iterator[Value]:
    tree = body.tree
    if body.kind == "json":
        yield Value("body:", utf8(body.raw), "json")
        yield from json_values("body:", tree, calls)
    elif body.kind == "form":
        yield from _pairs("body:/", tree, "body", calls)  # type: ignore[arg-type]
    elif body.kind == "multipart":
        for part in tree:  # type: ignore[attr-defined]
            yield from _part_values(part)
    elif isinstance(tree, str):
        yield from text_values(tree, body.media)


def json_values(place: str, tree: object, calls: Calls) -> Iterator[Value]:
    """Keys and leaves by JSON pointer, but for rows of short ones in which nothing calls: a place costs more than to ask
    about its text. One at a time is in memory, since a place holds all names above it."""
    open_nodes: list[Iterator[tuple[str, Any]]] = [iter([(place, tree)])]
    while open_nodes:
        for where, node in open_nodes[-1]:
            if type(node) is str:
                yield Value(where, node, "body")
            elif type(node) is Value:
                yield node
            elif type(node) is dict:
                open_nodes.append(_placed(where, list(node.items()), calls))
                break
            elif type(node) is list:
                open_nodes.append(_numbered(where, node, calls))
                break
        else:
            open_nodes.pop()


def _placed(where: str, members: list[tuple[str, Any]], calls: Calls) -> Iterator[tuple[str, Any]]:
    """Names and what they name."""
    for _, row in _rows(members, _texts_of_members, calls):
        for name, node in row:
            place = below(where, name)
            if len(name) > 2 and not name.isalnum():
                yield place, Value(place, name, "name")
            yield place, node


def _numbered(where: str, children: list[Any], calls: Calls) -> Iterator[tuple[str, Any]]:
    far = len(where) >= WHERE_CHARS_MAX
    for begin, row in _rows(children, _texts_of_elements, calls):
        for step, node in enumerate(row, begin):
            yield (where if far else f"{where}/{step}"), node


def _rows(
    children: Sequence[T], texts_of: Callable[[Sequence[T]], list[str] | None], calls: Calls
) -> Iterator[tuple[int, Sequence[T]]]:
    """Members or elements, some at a time, with the number of the first; but for those in which nothing calls."""

    def is_quiet(some: Sequence[T]) -> bool:
        if len(some) < ROW_MIN or (texts := texts_of(some)) is None:
            return False
        return max(map(len, texts), default=0) <= VALUE_SHORT and not calls(together(texts))

    for begin in range(0, len(children), ROWS * ROW):
        rows = children[begin : begin + ROWS * ROW]
        if len(rows) <= ROW or not is_quiet(rows):
            for at in range(0, len(rows), ROW):
                if not is_quiet(row := rows[at : at + ROW]):
                    yield begin + at, row


def _texts_of_members(row: Sequence[tuple[str, Any]]) -> list[str] | None:
    return _texts_of_elements([node for member in row for node in member])


def _texts_of_elements(row: Sequence[Any]) -> list[str] | None:
    """None when there is more than texts and numbers in them."""
    if not {list, dict}.isdisjoint(map(type, row)):
        return None
    return [node for node in row if type(node) is str]


def below(where: str, step: str) -> str:
    """The place of a member, as a JSON pointer; the place itself where that is long already."""
    return where if len(where) >= WHERE_CHARS_MAX else f"{where}/{escape_pointer(step[:WHERE_CHARS_MAX])}"


def _part_values(part: Part) -> Iterator[Value]:
    where = "body:/" + part.name
    yield Value(where, part.name, "name")
    yield from (Value(where, value, "header") for value in part.others)
    if part.filename is not None:
        yield Value(where, part.filename, "file")
    if (text := part_text(part)) is not None:
        if not part.filename and part.media == "text/plain" and _begins_document(text):
            yield Value(where, text, "body")  # a field as in a form, that nobody said to be XML
        yield from text_values(text, part.media, where)


def text_values(text: str, media: str, where: str = "body:") -> Iterator[Value]:
    """The values of a text by its media type: those of a document of XML, of the parts of a message, or the text."""
    if media.endswith("xml") or _begins_document(text):
        yield Value(where, text, "xml")
        for inner in xml_texts(text):
            yield Value(where, inner, "body")
        return
    if media.startswith("multipart/"):
        pieces = list(mixed_texts(text))
        yield from (Value(where, piece, "body") for piece in pieces)
        yield Value(where, " ".join(pieces), "body")  # what goes on over the end of a line
        return
    yield Value(where, text, "body")
    if where == "body:" and "=" in text and "\n" not in text.strip() and not text.lstrip().startswith(("{", "[", "<")):
        # A form under another name: its pieces, in case it is read as one.
        for pair in text.split("&")[:1000]:
            name, _, value = pair.partition("=")
            yield from _named(where + "/", name.replace("+", " "), value.replace("+", " "), "body")


def _begins_document(text: str) -> bool:
    return text.lstrip()[:5].lower() in ("<?xml", "<!doc")
