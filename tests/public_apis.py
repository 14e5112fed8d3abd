"""Turns the short notation of `tests/data/openapi` into OpenAPI documents. The notation is described
there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "data" / "openapi"
MEDIA = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "binary": "application/octet-stream",
    "text": "text/plain",
}
SIMPLE: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date-time"},
    "file": {"type": "string", "format": "binary"},
    "obj": {"type": "object"},
}


def read_public_api(name: str) -> dict[str, Any]:
    """The OpenAPI document described in `<name>.txt`."""
    document: dict[str, Any] = {
        "openapi": "",
        "info": {"title": name, "version": "1"},
        "paths": {},
        "components": {"schemas": {}},
    }
    for line in (DIRECTORY / f"{name}.txt").read_text().splitlines():
        words = line.split()
        if words[0] == "version":
            document["openapi"] = words[1]
            old = words[1].startswith("3.0")
        elif words[1] == "=":
            document["components"]["schemas"][words[0]] = Words(words[2:], old).schema()
        else:
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", words[1])
            document["paths"].setdefault(path, {})[words[0].lower()] = operation(words[1], words[2:], old)
    return document


def operation(path: str, words: list[str], old: bool) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": SIMPLE[kind or "str"]}
        for name, kind in re.findall(r"\{(\w+)(?::(\w+))?\}", path)
    ]
    found: dict[str, Any] = {"parameters": parameters, "responses": {"200": {"description": "ok"}}}
    rest = Words(words, old)
    while rest.words and rest.words[0] in ("?", "^"):
        place = "query" if rest.take() == "?" else "header"
        while rest.words and rest.words[0] not in ("?", "^", *MEDIA):
            name, required, schema = rest.member()
            parameter = {"name": name, "in": place, "required": required, "schema": schema}
            if schema.get("type") == "object" or "$ref" in schema:
                parameter |= {"style": "deepObject", "explode": True}
            parameters.append(parameter)
    if rest.words:
        kind = rest.take()
        schema = (
            rest.schema()
            if rest.words
            else {"type": "string", "format": "binary"}
            if kind == "binary"
            else {"type": "string"}
        )
        content: dict[str, Any] = {"schema": schema}
        if kind == "form":
            deep = {name: {"style": "deepObject", "explode": True} for name in schema.get("properties", ())}
            content["encoding"] = deep
        found["requestBody"] = {"required": bool(schema.get("required")), "content": {MEDIA[kind]: content}}
    assert not rest.words, words
    return found


class Words:
    """The words of one line, taken from the left."""

    def __init__(self, words: list[str], old: bool) -> None:
        self.words = [piece for word in words for piece in re.findall(r"[{}\[\]]|[^{}\[\]]+", word)]
        self.old = old

    def take(self) -> str:
        return self.words.pop(0)

    def member(self) -> tuple[str, bool, dict[str, Any]]:
        name, _, kind = self.take().partition(":")
        if kind:
            self.words.insert(0, kind)
        return name.rstrip("!"), name.endswith("!"), self.schema()

    def schema(self) -> dict[str, Any]:
        word = self.take()
        if word == "[":
            items = self.schema()
            assert self.take() == "]"
            return {"type": "array", "items": items}
        if word == "{":
            members = []
            while self.words[0] != "}":
                members.append(self.member())
            self.take()
            schema: dict[str, Any] = {"type": "object", "properties": {name: inner for name, _, inner in members}}
            required = [name for name, needed, _ in members if needed]
            return {**schema, "required": required} if required else schema
        if word.startswith("<"):
            return {"$ref": f"#/components/schemas/{word[1:-1]}"}
        if word.endswith("?"):
            schema = dict(SIMPLE[word[:-1]])
            return {**schema, "nullable": True} if self.old else {**schema, "type": [schema["type"], "null"]}
        if ".." in word:
            low, _, high = word.partition("..")
            return {"type": "integer", "minimum": int(low), "maximum": int(high)}
        if "|" in word:
            return {"type": "string", "enum": word.split("|")}
        return SIMPLE[word]
