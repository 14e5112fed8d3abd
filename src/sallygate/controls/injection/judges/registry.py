"""Registry of the judges, in their order, and the prefilter compiled from their triggers.

A new judge is a module with `JUDGE`, and a line here. Their order is the order of their triggers in compiled patterns.
"""

from __future__ import annotations

from collections.abc import Callable

from sallygate.controls.injection.judges import (
    code,
    deserialisation,
    filenames,
    graphql,
    ldap,
    lookups_crlf_prototypes,
    nosql,
    scanner_names,
    ssrf,
    template,
    xpath,
    xxe,
)
from sallygate.controls.injection.judges.command import command_judge
from sallygate.controls.injection.judges.html import xml_page_judge, xss_judge
from sallygate.controls.injection.judges.sql import sql_judge
from sallygate.controls.injection.judges.traversal import host_paths, traversal_judge
from sallygate.controls.injection.pipeline import pattern_scans
from sallygate.controls.injection.pipeline.judge_interface import DOCUMENTS, Judge
from sallygate.controls.injection.pipeline.prefilter import Prefilter, compile_database, signature

JUDGES: tuple[Judge, ...] = (
    sql_judge.JUDGE,
    xss_judge.JUDGE,
    xml_page_judge.JUDGE,
    command_judge.JUDGE,
    traversal_judge.JUDGE,
    host_paths.JUDGE,
    xxe.JUDGE,
    code.JUDGE,
    template.JUDGE,
    lookups_crlf_prototypes.JUDGE,
    ssrf.JUDGE,
    deserialisation.JUDGE,
    nosql.JUDGE,
    ldap.JUDGE,
    xpath.JUDGE,
    graphql.JUDGE,
    scanner_names.JUDGE,
    filenames.JUDGE,
)
_TRIGGERS = tuple(judge.triggers for judge in JUDGES)
_OF_DOCUMENTS = frozenset(number for number, judge in enumerate(JUDGES) if judge.kinds & DOCUMENTS)


QUICK_SHARE = 0.17
"""Share of the time of compiling that the scans and the documents' triggers take: 1.7 of 9.9 s. From it follows the rest."""
_compiled: list[bytes] = []
"""The patterns of this process, once they are compiled or loaded."""


def make_prefilter(compiled: bytes | None = None) -> Prefilter:
    """The prefilter of all judges, and their own scans, `compiled` at an earlier start."""
    if compiled is not None:
        pattern_scans.load(pattern_scans.unpack(compiled)[2:])
    return Prefilter(_TRIGGERS, compiled, _OF_DOCUMENTS)


def load_prefilter(compiled: bytes) -> Prefilter | None:
    """The prefilter of patterns that were compiled for this processor, which `compile_patterns` gives from then on; None
    for those of another processor."""
    if not pattern_scans.is_loadable(compiled):
        return None
    _compiled[:] = [compiled]
    return make_prefilter(compiled)


def compile_patterns(reached: Callable[[float], None] | None = None) -> bytes:
    """The compiled patterns of all judges, which `make_prefilter` takes, to be kept for the next start. Compiled once in a
    process. `reached` is called with the share of the work that is done."""
    if not _compiled:
        scans = pattern_scans.dump()
        documents = compile_database(_TRIGGERS, _OF_DOCUMENTS)
        if reached is not None:
            reached(QUICK_SHARE)
        everything = compile_database(_TRIGGERS, range(len(_TRIGGERS)))
        _compiled[:] = [pattern_scans.pack((everything, documents, *scans))]
    return _compiled[0]


def patterns_signature() -> str:
    """What compiled patterns depend on besides the processor."""
    return signature(_TRIGGERS, _OF_DOCUMENTS)
