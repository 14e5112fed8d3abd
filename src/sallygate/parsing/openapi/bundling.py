"""Bundler of an OpenAPI document: what stands in other files of its directory becomes part of it.

Each file that a reference names is put under `x-sallygate-files`, and every reference leads there; so nothing else has
to know that there was more than one file. It opens nothing itself: the caller reads files, and says which may be read.
"""

from __future__ import annotations

from collections.abc import Callable
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from sallygate.parsing.openapi.members import DATA, FREE_NAMES
from sallygate.parsing.pointers import escape_pointer

FILES = "x-sallygate-files"
FILES_MAX = 2_000
"""DigitalOcean's document, the largest known in pieces, has some 1,400."""
_DATA = DATA | {"examples"}
"""What nothing is read from: examples may stay where they are."""

ReadFile = Callable[[str], Any]
"""The value of a file by its path relative to the document's directory. Raises `OSError` or `ValueError`, which says
why it cannot be read."""


class Bundler:
    """One document with its files. `problems` are (JSON pointer, message)."""

    def __init__(self, read: ReadFile) -> None:
        self._read = read
        self.files: dict[str, Any] = {}
        self.problems: list[tuple[str, str]] = []
        self._waiting: list[str] = []
        """Files that are read and not yet rewritten: a chain of them may be long."""

    def bundle(self, document: dict[str, Any]) -> dict[str, Any]:
        """`document` itself where it names no file; otherwise a copy with all of them."""
        made = self._rewritten(document, "", "", "")
        while self._waiting:
            path = self._waiting.pop()
            self.files[path] = self._rewritten(self.files[path], path, "", "")
        if not self.files:
            return document
        assert isinstance(made, dict)
        return {**made, FILES: self.files}

    def _rewritten(self, value: Any, file: str, pointer: str, owner: str) -> Any:
        """`value`, found at `pointer` of `file` under the member `owner`, with its references rewritten."""
        if isinstance(value, list):
            return [self._rewritten(inner, file, f"{pointer}/{at}", "") for at, inner in enumerate(value)]
        if not isinstance(value, dict):
            return value
        named = owner in FREE_NAMES
        made: dict[str, Any] = {}
        for name, inner in value.items():
            at = f"{pointer}/{escape_pointer(str(name))}"
            if name == "$ref" and isinstance(inner, str):
                made[name] = self._target(inner, file, at)
            elif name == "mapping" and owner == "discriminator" and isinstance(inner, dict):
                made[name] = {key: self._mapped(target, file, at) for key, target in inner.items()}
            elif name in _DATA and not named:
                made[name] = inner
            else:
                made[name] = self._rewritten(inner, file, at, "" if named else str(name))
        return made

    def _mapped(self, target: Any, file: str, pointer: str) -> Any:
        """A discriminator maps to a reference or to the name of a schema."""
        if not isinstance(target, str) or not (
            "/" in target or "#" in target or target.endswith((".yaml", ".yml", ".json"))
        ):
            return target
        return self._target(target, file, pointer)

    def _target(self, reference: str, file: str, pointer: str) -> str:
        """Where `reference` leads in the bundled document; itself where it cannot be followed, with a problem."""
        name, _, fragment = reference.partition("#")
        if not name:
            return f"#/{FILES}/{escape_pointer(file)}{fragment}" if file else reference
        if "://" in name or name.startswith("//"):
            self.problems.append(
                (
                    pointer,
                    f"$ref {reference!r} is on another machine; save it as a file beside the document",
                )
            )
            return reference
        path = normpath(join(dirname(file), unquote(name)))
        if path.startswith(("/", "..")):
            self.problems.append(
                (pointer, f"$ref {reference!r} leads out of the document's directory; move the file into it")
            )
            return reference
        if not self._load(path, reference, pointer):
            return reference
        return f"#/{FILES}/{escape_pointer(path)}{fragment}"

    def _load(self, path: str, reference: str, pointer: str) -> bool:
        if path in self.files:
            return True
        if len(self.files) >= FILES_MAX:
            self.problems.append((pointer, f"the document has more than {FILES_MAX} files; bundle it into one first"))
            return False
        try:
            self.files[path] = self._read(path)
        except (OSError, ValueError) as error:
            self.problems.append((pointer, f"$ref {reference!r} cannot be read: {error}"))
            return False
        self._waiting.append(path)
        return True
