"""The judges there are, one a language of attacks: the kinds of values each is asked about, and what it costs.

A new one is a module with `TRIGGERS` and `judge`, and a line here.
"""

from __future__ import annotations

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
from sallygate.controls.injection.pipeline.judging import DOCUMENTS, TEXTS, Judge, from_module
from sallygate.controls.injection.pipeline.prefilter import Prefilter, signature
from sallygate.controls.injection.pipeline.values import Kind

_HOP: frozenset[Kind] = frozenset(("hop",))
_JSON: frozenset[Kind] = frozenset(("json",))
_XML: frozenset[Kind] = frozenset(("xml",))

JUDGES: tuple[Judge, ...] = (
    from_module(sql_judge, least=448),
    from_module(xss_judge, cost=1.25, least=256),
    from_module(xml_page_judge, _XML),
    from_module(command_judge, TEXTS | _HOP, cost=0.5),
    from_module(traversal_judge, cost=1.25, least=224),
    from_module(host_paths, cost=0.2),
    from_module(xxe, TEXTS | _XML, cost=0.3),
    from_module(code, TEXTS | _JSON | _HOP, cost=0.2),
    from_module(template, TEXTS | _XML, cost=0.2),
    from_module(lookups_crlf_prototypes, TEXTS | _HOP | _JSON, cost=0.2),
    from_module(ssrf, TEXTS | _HOP, cost=0.2),
    from_module(deserialisation, TEXTS | _HOP | _JSON, cost=0.2),
    from_module(nosql, TEXTS | _JSON, cost=0.3),
    from_module(ldap, cost=0.3),
    from_module(xpath, cost=0.3),
    from_module(graphql, TEXTS | _JSON),
    from_module(scanner_names, frozenset[Kind](("header",)), cost=0.2),
    from_module(filenames, frozenset[Kind](("file",)), cost=0.2),
)
_TRIGGERS = tuple(judge.triggers for judge in JUDGES)
_OF_DOCUMENTS = frozenset(number for number, judge in enumerate(JUDGES) if judge.kinds & DOCUMENTS)


def make_prefilter(compiled: bytes | None = None) -> Prefilter:
    """The prefilter of all judges, and their own scans, `compiled` at an earlier start."""
    if compiled is not None:
        pattern_scans.load(pattern_scans.unpack(compiled)[2:])
    return Prefilter(_TRIGGERS, compiled, _OF_DOCUMENTS)


def compile_patterns() -> bytes:
    """What `make_prefilter` takes, made anew."""
    return make_prefilter().dump() + pattern_scans.pack(pattern_scans.dump())


def patterns_signature() -> str:
    """What compiled patterns depend on besides the processor."""
    return signature(_TRIGGERS, _OF_DOCUMENTS)
