"""The judges there are, one a language of attacks: the kinds of values each is asked about, and what it costs.

A new one is a module with `TRIGGERS` and `judge`, and a line here.
"""

from __future__ import annotations

from sallygate.controls.injection import (
    code,
    command,
    filenames,
    graphql,
    idioms,
    ldap,
    nosql,
    pagedocuments,
    paths,
    scanner,
    sql,
    template,
    traversal,
    xpath,
    xss,
    xxe,
)
from sallygate.controls.injection.judging import TEXTS, Judge, from_module
from sallygate.controls.injection.values import Kind

_HOP: frozenset[Kind] = frozenset(("hop",))
_JSON: frozenset[Kind] = frozenset(("json",))
_XML: frozenset[Kind] = frozenset(("xml",))

JUDGES: tuple[Judge, ...] = (
    from_module(sql),
    from_module(xss),
    from_module(pagedocuments, _XML),
    from_module(command, TEXTS | _HOP, cost=0.5),
    from_module(traversal, cost=1.25),
    from_module(paths, cost=0.2),
    from_module(xxe, TEXTS | _XML, cost=0.3),
    from_module(code, TEXTS | _JSON, cost=0.2),
    from_module(template, TEXTS | _XML, cost=0.2),
    from_module(idioms, TEXTS | _HOP | _JSON, cost=0.2),
    from_module(nosql, TEXTS | _JSON, cost=0.3),
    from_module(ldap, cost=0.3),
    from_module(xpath, cost=0.3),
    from_module(graphql, TEXTS | _JSON),
    from_module(scanner, frozenset[Kind](("header",)), cost=0.2),
    from_module(filenames, frozenset[Kind](("file",)), cost=0.2),
)
