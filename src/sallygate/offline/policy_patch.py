"""Changes written into a policy file and its overlay: comments, order and everything else stay as they are.

What is written is checked first, as a whole: a change that would make the policy invalid changes no file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from sallygate.offline.tuning.proposals import Change
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import Loaded, load_policy

OVERLAY = "sallygate.overlay.yaml"
"""Name of the overlay where the policy names none."""
_NEW_OVERLAY = "overlay: 1.0.0\ninfo: {title: Changes of the contract for the gate, version: 1.0.0}\nactions: []\n"


def patched(text: str, changes: Iterable[Change]) -> str:
    """The YAML text with the changes applied."""
    yaml = _yaml()
    root = yaml.load(text) or CommentedMap()
    for change in changes:
        _apply(root, change)
    return _written(yaml, root)


def patch_text(changes: Iterable[Change]) -> str:
    """The changes alone, as a part of a policy to merge by hand; those of an overlay as its actions."""
    changes = list(changes)
    policy = [change for change in changes if change.file == "policy"]
    overlay = [change for change in changes if change.file == "overlay"]
    text = patched("", policy) if policy else ""
    if overlay:
        text += ("---\n" if text else "") + patched(_NEW_OVERLAY, overlay)
    return text


def apply_changes(loaded: Loaded, changes: Iterable[Change]) -> list[Path]:
    """Writes the changes into the policy's file and its overlay; the files written. Raises `PolicyError`, and writes
    nothing, where the policy would not be valid."""
    changes = list(changes)
    overlay_changes = [change for change in changes if change.file == "overlay"]
    overlay = loaded.policy.contract.overlay or OVERLAY
    policy_changes = [change for change in changes if change.file == "policy"]
    texts: dict[Path, str] = {}
    if overlay_changes:
        file = loaded.beside(overlay)
        known = file.read_text("utf-8") if file.exists() else _NEW_OVERLAY
        texts[file] = patched(known, overlay_changes)
        if loaded.policy.contract.overlay is None:
            policy_changes.append(Change(("contract", "overlay"), overlay))
    texts[loaded.file] = patched(loaded.file.read_text("utf-8-sig"), policy_changes)
    _check(loaded, texts)
    for file, text in texts.items():
        _replace(file, text)
    return list(texts)


def _check(loaded: Loaded, texts: dict[Path, str]) -> None:
    """Loads the policy as it would be, from files beside the present ones. Raises `PolicyError`."""
    beside: dict[Path, Path] = {}
    try:
        for file, text in texts.items():
            beside[file] = file.with_name(f".{file.name}.new")
            beside[file].write_text(text, "utf-8")
        policy = beside[loaded.file]
        overlay = next((new for file, new in beside.items() if file != loaded.file), None)
        if overlay is not None:
            named = Change(("contract", "overlay"), overlay.name)
            policy.write_text(patched(texts[loaded.file], [named]), "utf-8")
        load_policy(policy, loaded.shell)
    finally:
        for new in beside.values():
            new.unlink(missing_ok=True)


def _replace(file: Path, text: str) -> None:
    """Writes a file at once and durably, with the mode that it has."""
    new = file.with_name(f".{file.name}.new")
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    with new.open("w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def _apply(root: Any, change: Change) -> None:
    node = root
    for name in change.path[:-1]:
        if node.get(name) is None:
            node[name] = CommentedMap()
        node = node[name]
        node.fa.set_block_style()  # a line that grows is hard to review
    last = change.path[-1]
    if not change.is_item:
        node[last] = change.value
        return
    if node.get(last) is None:
        node[last] = CommentedSeq()
    if change.value not in node[last]:
        item = CommentedMap(change.value)
        item.fa.set_flow_style()
        if node[last].fa.flow_style() and not node[last]:
            node[last].fa.set_block_style()
        node[last].append(item)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.version = None
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _written(yaml: YAML, root: Any) -> str:
    stream = io.StringIO()
    yaml.dump(root, stream)
    return stream.getvalue()


__all__ = ["OVERLAY", "PolicyError", "apply_changes", "patch_text", "patched"]
