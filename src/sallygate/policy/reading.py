"""Reader of policy files: bytes to plain values, problems with their lines, and the path of the state directory.

Knows no type of the policy, so that a command that needs the state directory alone does not wait for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sallygate.parsing.yaml_text import YamlError, read_strings
from sallygate.policy.errors import PolicyError, Problem
from sallygate.security.regular_files import open_regular

POLICY_BYTES_MAX = 4 << 20
"""A thousand plans and operations take 300 KiB."""
STATE_DEFAULT = ".sallygate"
"""The state directory where the policy names none, relative to its file."""

Path_ = tuple[str | int, ...]


class Reader:
    """One reading of one file: collects problems with their lines."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.problems: list[Problem] = []

    def line(self, path: Path_) -> int:
        """Line of a field in the file, or of its nearest parent; 1 if neither is known."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def say(self, path: Path_, code: str, message: str, hint: str = "") -> None:
        """Record a problem of the field at `path`."""
        self.problems.append(Problem(str(self.file), self.line(path), f"policy.{code}", message, hint))


def state_directory_of(file: Path) -> Path:
    """The state directory that the policy in `file` names, whatever else is wrong in it. Raises `PolicyError` for a
    file that cannot be read."""
    reader = Reader(file)
    value = read_mapping(reader, read_bounded(file, POLICY_BYTES_MAX, "policy"))
    if value is None:
        raise PolicyError(reader.problems)
    named = value.get("state", STATE_DEFAULT)
    return (file.parent / str(named)).resolve()


def read_bounded(file: Path, bytes_max: int, what: str) -> bytes:
    """The file's bytes. Raises `PolicyError` where it cannot be read or is larger; `what` it is, for the message."""
    try:
        # A policy may come through a pipe, as from a shell's process substitution.
        with file.open("rb") if what == "policy" else open_regular(file) as stream:
            data = stream.read(bytes_max + 1)
    except OSError as error:
        hint = "run `sallygate init` to write one" if what == "policy" else "write a path relative to the policy file"
        raise PolicyError(
            [Problem(str(file), 0, "policy.file", f"the {what} cannot be read: {error.strerror}", hint)]
        ) from None
    if len(data) > bytes_max:
        raise PolicyError([Problem(str(file), 0, "policy.file", f"the {what} is larger than {bytes_max >> 20} MiB")])
    return data


def read_mapping(reader: Reader, data: bytes) -> dict[Any, Any] | None:  # Any: as the file has it
    """The file's mapping of strings; None where it has none, with the problems said to `reader`."""
    try:
        value, reader.lines = read_strings(data.decode("utf-8-sig"), str(reader.file))
    except UnicodeDecodeError:
        reader.say((), "syntax", "the file is not UTF-8", "save it as UTF-8")
        return None
    except YamlError as error:
        for line, message in error.problems:
            code = "policy.duplicate" if "already given" in message else "policy.syntax"
            reader.problems.append(Problem(str(reader.file), line, code, message))
        return None
    if not isinstance(value, dict):
        reader.say((), "syntax", "the file must be a mapping", "begin with `version: 1`")
        return None
    return value
