"""Evidence of one judge about one text: family of attack, rule, matched span and score.

Scores: 9 is certain (it would run as it stands, and no honest value looks so), 7 an attack's idiom, 5 likely, 3 odd.
`sensitivity` in the policy decides from which score on a request is refused.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Family = Literal[
    "sql", "xss", "command", "traversal", "template", "nosql", "ldap", "xpath", "xxe", "lookup", "crlf", "mail",
    "ssrf", "deserialisation", "prototype", "code", "graphql", "scanner", "probe",
    "encoding", "effort",
]  # fmt: skip
CERTAIN, ATTACK, LIKELY, ODD = 9, 7, 5, 3


class Evidence(Struct, frozen=True, gc=False):
    """One judge's strongest finding in one text."""

    family: Family
    rule: str
    """Stable name of what was recognised, `union-select`."""
    score: int
    start: int
    end: int
    """The matched span, in characters of the text that was judged."""
