"""The data of the evaluation, as `shared/DATA.md` describes it: where it is, what is left out of it, how it is split.

The data is third-party and not part of the project. Rules for leaving out and for splitting look at the text alone, never
at what the detector says, and were fixed before it was tuned.
"""

from __future__ import annotations

import gzip
import json
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from sallygate.offline.recordings import Recorded

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
REMOVED_SHARE_MAX = 0.01
"""Of a family, lines that may be left out as harmless by themselves."""
HELD_OUT_SOURCES = {("sql", "HttpParamsDataset-train"), ("xss", "libinjection")}
"""Whole sources the detector was not tuned on. Families of one source are split by a checksum of the line."""
HELD_OUT_FIFTHS = {("traversal", "HttpParamsDataset-train"), ("command", "HttpParamsDataset-train")}
"""Sources of which, until 2026-11-25, nothing had been looked at: 131 of 188 and 14 of 28 lines were refused. Then four
fifths were, to learn what kind of line that was, and a fifth by the same checksum still is not."""
_WHOLE_SOURCES = {family for family, _ in HELD_OUT_SOURCES | HELD_OUT_FIFTHS}
_WORDS = re.compile(r"[\w.-]+(?: [\w.-]+)?").fullmatch


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class MissingData(Exception):
    """The data is not there. The message says what to do."""


@dataclass(frozen=True)
class Payload:
    family: str
    value: str
    source: str

    @property
    def held_out(self) -> bool:
        if self.family in _WHOLE_SOURCES:
            if (self.family, self.source) in HELD_OUT_SOURCES:
                return True
            if (self.family, self.source) not in HELD_OUT_FIFTHS:
                return False
        return zlib.crc32(self.value.encode()) % 5 == 0


def held_out_site(site: str) -> bool:
    """Every fifth site, by a checksum of its name."""
    return zlib.crc32(site.encode()) % 5 == 0


def find(root: Path, name: str) -> Path:
    file = root / name
    if not file.exists():
        raise MissingData(f"{file} is not there; give the folder that has it with --data (see the project's data page)")
    return file


def wrapped_attacks() -> Iterator[Any]:
    """Attacks within texts that show code, each with its family, what it is put into, and how it is wrapped."""
    with (Path(__file__).parent / "wrapped_attacks.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def lines(file: Path) -> Iterator[Any]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def recorded(root: Path, name: str) -> Iterator[tuple[str, Recorded]]:
    """Name and request of each line of a file of requests, headers as pairs or as an object."""
    for one in lines(find(root, name)):
        headers = one.get("headers") or {}
        pairs = headers.items() if isinstance(headers, dict) else headers
        kept = [(str(key).lower(), str(value)) for key, value in pairs]
        body = one.get("body") or ""
        raw = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
        kept = [pair for pair in kept if pair[0] not in ("content-length", "transfer-encoding")]
        kept += [("host", "api.example")] if "host" not in dict(kept) else []
        kept += [("content-length", str(len(raw)))] if raw else []
        url = urlsplit(one["url"])
        fields = tuple([(key.encode(), value.encode("utf-8", "replace")) for key, value in kept])
        yield (
            one["name"],
            Recorded(one["method"], "https", (url.path or "/").encode(), url.query.encode(), fields, raw, "192.0.2.7"),
        )


def is_harmless(value: str) -> bool:
    """Whether a line of a list is no attack by itself: one or two plain words, one punctuation mark, or a remark of the
    list's author."""
    text = unescape(unquote(value)).strip()
    return len(text) < 2 or text.startswith("# ") or _WORDS(text) is not None


def payloads(root: Path) -> tuple[list[Payload], list[Payload]]:
    """The attacks; and those left out: of each family the shortest harmless ones, at most `REMOVED_SHARE_MAX`."""
    by_family: dict[str, list[Payload]] = defaultdict(list)
    for line in lines(find(root, "attacks/payloads.jsonl.gz")):
        by_family[line["family"]].append(Payload(line["family"], line["value"], line["source"]))
    kept, removed = [], []
    for of_family in by_family.values():
        harmless = sorted(
            (one for one in of_family if is_harmless(one.value)), key=lambda one: (len(one.value), one.value)
        )
        out = harmless[: int(len(of_family) * REMOVED_SHARE_MAX)]
        left = {id(one) for one in out}
        kept += [one for one in of_family if id(one) not in left]
        removed += out
    return kept, removed


def honest_values(root: Path) -> list[str]:
    return [line["value"] for line in lines(find(root, "benign/values.jsonl.gz"))]


def honest_texts(root: Path) -> list[str]:
    texts = yaml.safe_load(find(root, "benign/gotestwaf_texts.yml").read_text())["payload"]
    return [str(text) for text in texts]


def documents(root: Path, archive: str) -> Iterator[tuple[str, Any]]:
    """(name, document) of every YAML file of an archive."""
    with tarfile.open(find(root, archive)) as tar:
        for member in tar:
            if member.name.endswith((".yml", ".yaml")) and (stream := tar.extractfile(member)) is not None:
                yield member.name, _read_yaml(stream.read())


def _read_yaml(text: bytes) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError:
        # Go's YAML takes the escape `\\'`, which the standard does not have, for an apostrophe.
        lines = [line.replace(b"\\'", b"'") if line.lstrip().startswith(b'- "') else line for line in text.split(b"\n")]
        return yaml.load(b"\n".join(lines), _Loader)
