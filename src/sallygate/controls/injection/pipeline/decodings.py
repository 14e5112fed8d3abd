"""Decodings of one text: its forms, which are the other texts it may turn into before something interprets it.

A value reaches an interpreter after anything from no to several decodings, and nobody outside the application knows
which. So each decoding that changes a text makes another form, each form is kept apart with the steps that led to it,
and each is judged by itself. Rounds and forms are bounded; a text that would still go on decoding after the last round is
reported, since no honest value does.

Refuses to know what any form means.
"""

from __future__ import annotations

import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from msgspec import Struct

from sallygate.controls.injection.pipeline.pattern_scans import possible

ROUNDS_MAX = 6
"""Decodings one after another. Addresses within addresses are honestly encoded five times over, not more."""
FORMS_MAX = 12
"""Forms of one text, before the one decoded all through; honest values have one to three."""
SPELLED_CHARS_MAX, SPELLED_MAX = 256, 2048
"""Characters of a word of base64 whose text is remembered, and such words: 1 MB at most."""
BASE64_CHARS_MIN = 10
"""`cat /etc/passwd` takes 20, `||id;` 7; shorter text decodes to printable characters by chance."""
BASE64_LOOK = 32
"""Base64 characters (24 bytes) needed to distinguish random bytes from text."""

_SEGMENT_BEGINS = "eyJ"
"""`{"` in base64."""
_HAS_PERCENT = re.compile(r"%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})").search
_PERCENT_U = re.compile(r"%u([0-9A-Fa-f]{4})")
_ILL_FORMED = re.compile(rb"%(?![0-9A-Fa-f]{2})").sub
_OVERLONG = re.compile(
    rb"[\xc0\xc1][\x00-\xff]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}"
    rb"|\xf8[\x80-\x87][\x80-\xbf]{3}|\xfc[\x80-\x83][\x80-\xbf]{4}"
)
_TEXT_CONTROLS = {ord(char): None for char in "\0\t\n\x0b\x0c\r\x1b"}
"""Controls that attacks are written with."""
_ODD_ENTITY = re.compile(r"&(tab|newline|colon|lpar|rpar);", re.IGNORECASE)
_ODD_ENTITIES = {"tab": "\t", "newline": "\n", "colon": ":", "lpar": "(", "rpar": ")"}
_ENTITY = re.compile(r"&(?:#|[A-Za-z]{2,31};)").search
_possibly_odd = possible([_ODD_ENTITY])
_REFERENCE = re.compile(r"(&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?))")
"""As `html.unescape` reads them."""
_ESCAPED = re.compile(r"(\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|[0-3][0-7]{2}|[nrt]))")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_CSS_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{1,6})[ \t\r\n\f]?")
is_base64 = re.compile(rf"[A-Za-z0-9+/_-]{{{BASE64_CHARS_MIN},}}={{0,4}}").fullmatch
_BASE64_WORDS = re.compile(rf"[A-Za-z0-9+/_-]{{{BASE64_CHARS_MIN},}}={{0,4}}").findall
_BLANKS, _LETTERS_64 = r" \t\r\n", "A-Za-z0-9+/_-"
_TEXT_BEGINS = (
    rf"(?=[{_BLANKS}]*+(?:[A-Za-f](?:[{_BLANKS}]|[0-3A-HQ-Xg-nw-z][^26CGKOSWaeimquy+-]|[89M-Oc-es-u+-][26CGKOSWaeimquy+{_BLANKS}-])"
    rf"|[w-z0-9][4-7I-LYZabo-r{_BLANKS}]))"
)
"""Letters that spell three bytes that may begin text of UTF-8: ASCII, then ASCII or the first byte of another character and
its second; or the two first bytes of such a character. Six of seven words of prose begin otherwise."""
BLANK_BASE64 = (
    rf"{_TEXT_BEGINS}(?=[={_LETTERS_64}]*+[{_BLANKS}])"
    rf"[{_BLANKS}]*+[{_LETTERS_64}]++(?:[{_BLANKS}]++[{_LETTERS_64}]++)*+[{_BLANKS}]*+={{0,4}}[{_BLANKS}]*+"
)
"""Base64 with blanks: `+` that a query spells as a blank, lines, padding apart."""
_is_blank_base64 = re.compile(BLANK_BASE64).fullmatch
_BLANK_BASE64_PARTS = re.compile(rf"(?<![^\x1e\"]){BLANK_BASE64}(?![^\x1e\"])").findall
_UNBROKEN = str.maketrans("", "", "\t\r\n")
_INVISIBLE = re.compile("[\x00\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_LOOKALIKE = str.maketrans("\u2044\u2215\u2216\u29f5\u29f8\ufe68\u2032\u02b9\u2039\u203a\u3008\u3009\u2018\u2019\u02bc",
                           "//\\\\/\\''<><>'''")  # fmt: skip
_HAS_LOOKALIKE = re.compile(f"[{''.join(map(chr, _LOOKALIKE))}]").search


class Form(Struct, frozen=True, gc=False):
    """One text a value may turn into, and the decodings that lead there, first one first."""

    text: str
    steps: tuple[str, ...] = ()


class Forms:
    """All forms of a text, itself first, each made when it is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.endless = False
        """Once all are made: whether the text would have gone on decoding beyond the bounds."""

    def __iter__(self) -> Iterator[Form]:
        text = self._text
        forms = [Form(text)]
        yield forms[0]
        if is_plain(text):
            return
        seen = {text}
        at = 0
        while at < len(forms):
            form = forms[at]
            at += 1
            for name, decode in DECODERS:
                if name == "base64" and "base64" in form.steps:
                    continue
                decoded = decode(form.text)
                if decoded is None or decoded in seen:
                    continue
                if len(forms) >= FORMS_MAX:
                    last, self.endless = _decoded_through(text)
                    if last.text not in seen:
                        yield last
                    return
                if len(form.steps) >= ROUNDS_MAX:
                    self.endless = name == "percent"
                    return
                seen.add(decoded)
                forms.append(Form(decoded, (*form.steps, name)))
                yield forms[-1]


def forms_of(text: str) -> tuple[list[Form], bool]:
    """All forms of `text`, itself first; and whether it would have gone on decoding beyond the bounds."""
    forms = Forms(text)
    return list(forms), forms.endless


class DocumentForms(Forms):
    """A document of JSON, and with its escapes undone, by which its structure can be hidden. What its texts turn into is
    in the forms of each of them."""

    def __iter__(self) -> Iterator[Form]:
        yield Form(self._text)
        decoded = escapes_undone(self._text)
        if decoded != self._text:
            yield Form(decoded, ("unescaped",))


def _decoded_through(text: str) -> tuple[Form, bool]:
    """Every decoding at once, round after round: where the many ways of a text that mixes encodings end."""
    steps: list[str] = []
    for _ in range(ROUNDS_MAX):
        for name, decode in DECODERS:
            if (decoded := decode(text)) is not None:
                text = decoded
                steps.append(name)
    return Form(text, tuple(steps)), percent(text) is not None


def is_plain(text: str) -> bool:
    """Whether no decoder can change `text`: the short way for most values."""
    return text.isascii() and not (
        "%" in text or "\\" in text or "&" in text or "\x00" in text
    ) and is_base64(text) is None and text[:3] != _SEGMENT_BEGINS and _is_blank_base64(text) is None  # fmt: skip


def percent(text: str) -> str | None:
    """`%XX` and `%uXXXX`, ill-formed ones left as they are; overlong UTF-8 read as lenient decoders read it."""
    if "%" not in text or not _HAS_PERCENT(text):
        return None
    if "%u" in text or "%U" in text:
        text = _PERCENT_U.sub(lambda found: chr(int(found[1], 16)), text.replace("%U", "%u"))
    # Written as quoted-printable (RFC 2045), which differs by its sign: that decoder is five times as fast.
    data = _ILL_FORMED(b"=25", text.encode("utf-8", "surrogatepass").replace(b"=", b"=3D"))
    return utf8(binascii.a2b_qp(data.replace(b"%", b"=")))


def utf8(data: bytes) -> str:
    """Bytes as text: UTF-8 where they are, overlong sequences as what they spell, the rest as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _OVERLONG.sub(_shortened, data).decode("utf-8", "latin1_rest")


def _shortened(found: re.Match[bytes]) -> bytes:
    sequence = found.group()
    if len(sequence) == 2:
        second = sequence[1]
        if second < 0x80:  # a decoder that drops the byte it does not understand
            return sequence[1:]
        return bytes([(sequence[0] & 1) << 6 | second & 0x3F])
    code = 0
    for byte in sequence[1:]:
        code = code << 6 | byte & 0x3F
    return chr(code & 0xFFFF).encode("utf-8", "replace")


def unescaped(text: str) -> str | None:
    r"""Character references of HTML, escapes of JavaScript (`\x3c`, `\u003c`, `\u{3c}`, `\074`, `\n`) and CSS (`\3c `), all at
    once: a text that has several kinds is rare, and its other readings are in the forms it came from."""
    decoded = text
    if "&" in decoded and _ENTITY(decoded):
        if _possibly_odd(decoded):
            decoded = _ODD_ENTITY.sub(lambda found: _ODD_ENTITIES[found[1].lower()], decoded)
        decoded = _replaced(decoded, _REFERENCE, _References())
    decoded = escapes_undone(decoded)
    return None if decoded == text else decoded


def escapes_undone(text: str) -> str:
    """Text with backslash escapes of programming languages and of CSS decoded once."""
    if "\\" in text:
        text = _replaced(text, _ESCAPED, _Escapes())
        if "\\" in text:
            text = _CSS_ESCAPED.sub(_css_character, text)
    return text


def _replaced(text: str, what: re.Pattern[str], by: dict[str, str]) -> str:
    """Each `what` in `text`, its only group, as `by` has it: what repeats is worked out once."""
    parts = what.split(text)
    parts[1::2] = map(by.__getitem__, parts[1::2])
    return "".join(parts)


class _References(dict[str, str]):
    def __missing__(self, reference: str) -> str:
        digits = reference[2:-1]
        if reference[1] == "#" and digits.isdigit() and reference[-1] == ";" and 0xA0 <= int(digits[:9]) < 0xD800:
            return chr(int(digits))
        self[reference] = character = html.unescape(reference)
        return character


class _Escapes(dict[str, str]):
    def __missing__(self, escape: str) -> str:
        self[escape] = character = _character(escape)
        return character


def _character(escape: str) -> str:
    kind = escape[1]
    if kind in "nrt":
        return _LETTERS[kind]
    code = int(escape[1:], 8) if kind.isdigit() else int(escape[2:].strip("{}"), 16)
    return chr(code) if code < 0x110000 else escape


def _css_character(found: re.Match[str]) -> str:
    return chr(min(int(found[1], 16), 0x10FFFF))


def folded(text: str) -> str | None:
    """Full-width and look-alike characters as the ASCII ones they are folded to; invisible ones left out."""
    if text.isascii() and "\x00" not in text:
        return None
    decoded = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if _HAS_LOOKALIKE(decoded):
        decoded = decoded.translate(_LOOKALIKE)
    return None if decoded == text else decoded


def base64_text(text: str) -> str | None:
    """What a text of nothing but base64, with blanks or without, spells when it spells text."""
    return _spelled(text) if is_base64(text) is not None else _spelled_with_blanks(text)


def from_base64(text: str) -> str | None:
    """The text a whole base64 value spells, either alphabet, when it spells text; of a JSON Web Token or a signed cookie
    the list of what its parts spell."""
    if is_base64(text) is not None or _is_blank_base64(text) is not None:
        return base64_text(text)
    if text[:3] != _SEGMENT_BEGINS or "." not in text:
        return None
    parts = [spelled for part in text.split(".", 2)[:2] if is_base64(part) and (spelled := _spelled(part)) is not None]
    return f"[{','.join(parts)}]" if parts else None


def _spelled_with_blanks(text: str) -> str | None:
    """What base64 with blanks spells: each blank as the `+` that it was in a query, and as nothing, as lenient decoders read
    it. Both, a line each, where both spell text."""
    unbroken = text.translate(_UNBROKEN)
    bare = unbroken.replace(" ", "")
    if len(bare) < BASE64_CHARS_MIN:
        return None
    ended = unbroken.rstrip(" ") if "=" in unbroken else unbroken
    found = [
        spelled for one in dict.fromkeys((ended.replace(" ", "+"), bare)) if (spelled := _spelled(one)) is not None
    ]
    return "\n".join(found) if found else None


def _spelled(text: str) -> str | None:
    return _spelled_of_short(text) if len(text) <= SPELLED_CHARS_MAX else _spelled_of(text)


def _spelled_of(text: str) -> str | None:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        plain = plain[:-1]  # six bits are no byte: lenient decoders ignore them
    if len(plain) > BASE64_LOOK and not _begins_as_text(plain[:BASE64_LOOK]):
        return None
    try:
        decoded = binascii.a2b_base64(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return decoded if decoded.isprintable() or decoded.translate(_TEXT_CONTROLS).isprintable() else None


_spelled_of_short = lru_cache(SPELLED_MAX)(_spelled_of)
"""Words of one request are asked about several times: with others, and alone."""


def base64_texts(text: str) -> list[str]:
    """What the words of `text` spell that are base64 of text, and its parts between quotes that are base64 with blanks."""
    found = [spelled for word in _BASE64_WORDS(text) if (spelled := _spelled(word)) is not None]
    for part in _BLANK_BASE64_PARTS(text):
        if is_base64(part) is None and (spelled := _spelled_with_blanks(part)) is not None:
            found.append(spelled)
    return found


def _begins_as_text(plain: str) -> bool:
    """Whether base64 begins with UTF-8, but for a character cut in two: most tokens are not, and cost no more."""
    data = binascii.a2b_base64(plain)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4
    return True


def _latin1_rest(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin1_rest", _latin1_rest)

Decoder = Callable[[str], str | None]
DECODERS: tuple[tuple[str, Decoder], ...] = (
    ("percent", percent),
    ("unescaped", unescaped),
    ("folded", folded),
    ("base64", from_base64),
)
"""In the order they are tried. Each returns another text, or None when it changes nothing."""
