"""Finding: the evidence of one control about one exchange."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Mode = Literal["enforce", "shadow", "off"]
Verdict = Literal["allow", "challenge", "throttle", "deny", "terminate"]
COLOURS: dict[str, str] = {
    "allow": "green",
    "throttle": "yellow",
    "challenge": "cyan",
    "deny": "red",
    "terminate": "bold red",
}
"""One colour a verdict, wherever people look at it."""


class Finding(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a control saw, where, and what it asks for.

    `detail` may be shown to the client: it names rules and places, never a value that was sent. `evidence` is for the
    operator alone and is redacted before it gets here.
    """

    code: str
    """Stable dotted reason: `limits.rate`, `contract.body`."""
    detail: str
    status: int = 403
    """The HTTP status this finding asks for when it is enforced."""
    verdict: Verdict = "deny"
    where: str = ""
    """`query:limit`, `path:orderId`, `header:host`, `cookie:sid`, `body:/items/0/quantity`, or empty."""
    rule: str = ""
    """The schema keyword, limit or restriction that spoke: `maximum`, `free.hour`."""
    evidence: str = ""
    mode: Mode = "enforce"
    """Set by the engine: a finding in shadow is recorded and not enforced."""
    owasp: str = ""
    """OWASP API Security Top 10 (2023), `API4`."""
    attack: str = ""
    """MITRE ATT&CK technique, `T1499`, where one fits."""

    @property
    def control(self) -> str:
        """Name of the control: the first part of the code."""
        return self.code.partition(".")[0]
