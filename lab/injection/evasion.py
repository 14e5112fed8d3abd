"""Attacks disguised: each mutation leaves what a lenient application would still run, or hides it in the request."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from urllib.parse import quote

from lab.injection import requests
from sallygate.offline.recordings import Recorded

Mutation = Callable[[str, random.Random], Recorded]


def _case(text: str, chance: random.Random) -> Recorded:
    return requests.in_query("".join(char.upper() if chance.random() < 0.5 else char.lower() for char in text))


def _every_byte(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def _percent_twice(text: str, _: random.Random) -> Recorded:
    return requests.get("/", "q=" + quote(_every_byte(text), safe=""))


def _percent_thrice(text: str, _: random.Random) -> Recorded:
    return requests.get("/", "q=" + quote(quote(_every_byte(text), safe=""), safe=""))


def _percent_u(text: str, _: random.Random) -> Recorded:
    return requests.in_query("".join(f"%u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text))


def _entities(text: str, chance: random.Random) -> Recorded:
    return requests.in_form("".join(_entity(char, chance) for char in text))


def _entity(char: str, chance: random.Random) -> str:
    if char.isalnum() and chance.random() < 0.7:
        return char
    return f"&#{ord(char)};" if chance.random() < 0.5 else f"&#x{ord(char):x};"


def _json_escapes(text: str, _: random.Random) -> Recorded:
    escaped = "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text)
    return requests.post(f'{{"comment":"{escaped}"}}'.encode("utf-8", "surrogatepass"), "application/json")


def _base64(text: str, _: random.Random) -> Recorded:
    return requests.in_query(base64.b64encode(text.encode("utf-8", "surrogatepass")).decode())


def _json_in_string(text: str, _: random.Random) -> Recorded:
    return requests.in_form(json.dumps({"filter": {"by": text}}))


def _full_width(text: str, _: random.Random) -> Recorded:
    wide = "".join(chr(ord(char) + 0xFEE0) if char in "<>'\"();/\\.{}$|&=" else char for char in text)
    return requests.in_json(wide)


def _white_space(text: str, chance: random.Random) -> Recorded:
    return requests.in_json(re.sub(" ", lambda _: chance.choice("\t\n\x0b\x0c\r \u00a0"), text))


def _padding(text: str, _: random.Random) -> Recorded:
    return requests.in_form("lorem ipsum dolor sit amet " * 500 + text)


def _many_fields(text: str, _: random.Random) -> Recorded:
    fields = {f"field{number}": f"honest value number {number}" for number in range(400)}
    return requests.post(json.dumps({**fields, "last": text}).encode("utf-8", "surrogatepass"), "application/json")


def _media_type(text: str, chance: random.Random) -> Recorded:
    media = chance.choice(["text/plain", "image/png", "application/octet-stream", "application/x-unknown", "text/html"])
    return requests.post(json.dumps({"comment": text}).encode("utf-8", "surrogatepass"), media)


def _charset(text: str, chance: random.Random) -> Recorded:
    charset = chance.choice(["utf-16le", "utf-7", "cp037"])
    body = f"comment={text}".encode(charset, "replace")
    return requests.post(body, f"application/x-www-form-urlencoded; charset={charset}")


def _repeated(text: str, _: random.Random) -> Recorded:
    """Spread over two parameters of one name, where an ASP.NET application joins them with a comma."""
    if "," not in text:
        return requests.in_query(text)
    first, _, second = text.partition(",")
    return requests.get("/", f"q={quote(first, safe='')}&q={quote(second, safe='')}")


def _deep(text: str, _: random.Random) -> Recorded:
    tree: object = text
    for level in range(20):
        tree = {f"level{level}": [tree]}
    return requests.post(json.dumps(tree).encode("utf-8", "surrogatepass"), "application/json")


ONLY_FOR = {
    "letter case at random": {"sql", "xss", "traversal", "xxe"},  # shells and templates know their letters
    "other white space": {"sql", "xss"},
    "spread over parameters": {"sql"},
}
"""Families a mutation leaves an attack of; all where nothing is said."""

MUTATIONS: dict[str, Mutation] = {
    "letter case at random": _case, "percent twice": _percent_twice, "percent three times": _percent_thrice,
    "%uXXXX": _percent_u, "HTML entities": _entities, "\\uXXXX in JSON": _json_escapes, "base64": _base64,
    "JSON in a form field": _json_in_string, "full-width characters": _full_width, "other white space": _white_space,
    "13 kB of padding": _padding, "400 fields before": _many_fields, "another media type": _media_type,
    "another charset": _charset, "spread over parameters": _repeated, "twenty levels deep": _deep,
}  # fmt: skip
