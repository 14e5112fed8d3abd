"""Servers of an OpenAPI document: the paths that its operations stand under."""

from __future__ import annotations

from itertools import islice, product
from typing import Any
from urllib.parse import urlsplit

BASE_PATHS_MAX = 32
"""Of one list of servers, enumerated variables written out. Public documents have up to seven."""


def base_paths(servers: object) -> tuple[str, ...] | None:
    """The path of every server, without the last slash, each once; `("",)` where none is given, which means the root
    (OpenAPI 3.1.1, section 4.8.1); None for what is no list of servers. Variables stand for their default and for every
    value they may have."""
    if servers is None or servers == []:
        return ("",)
    if not isinstance(servers, list) or not all(isinstance(one, dict) and "$ref" not in one for one in servers):
        return None
    found = dict.fromkeys(path for server in servers for path in _paths(server))
    return tuple(islice(found, BASE_PATHS_MAX))


def _paths(server: dict[str, Any]) -> list[str]:
    url = str(server.get("url", ""))
    variables = server.get("variables")
    choices: list[list[tuple[str, str]]] = []
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict) and "{" + str(name) + "}" in url:
            values = dict.fromkeys(_values(variable))
            choices.append([("{" + str(name) + "}", str(value)) for value in values])
    made = []
    for chosen in islice(product(*choices), BASE_PATHS_MAX):
        written = url
        for name, value in chosen:
            written = written.replace(name, value)
        path = urlsplit(written).path.rstrip("/")
        made.append(path if not path or path.startswith("/") else "/" + path)
    return made


def _values(variable: dict[str, Any]) -> list[Any]:
    """Its default first, which every document has to give."""
    listed = variable.get("enum")
    values = [variable["default"]] if "default" in variable else []
    return (values + listed if isinstance(listed, list) else values) or [""]
