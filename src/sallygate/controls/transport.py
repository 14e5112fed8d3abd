"""Control of transport: refuses plain HTTP.

Threat: a key sent in the clear is everybody's; a redirect would only teach clients to go on sending it.
Evidence: `transport.plain`, and `transport.credential_exposed` with the key's id when one was seen on the wire.
Known bypasses: a trusted hop that reports `https` for what it received in the clear is believed; name hops narrowly.
Cost: one comparison on HTTPS.
"""

from __future__ import annotations

from typing import ClassVar

from sallygate.model.control import Everywhere
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.request import RequestHead
from sallygate.parsing.addresses import parse_address
from sallygate.parsing.http.credentials import parse_api_key, parse_authorization
from sallygate.policy.schema import Transport
from sallygate.state.parts import Parts


class TransportControl(Everywhere):
    """HTTPS always."""

    name: ClassVar = "transport"
    section: ClassVar = "transport"

    def __init__(self, section: Transport, key_header: str) -> None:
        self._loopback = section.plain == "loopback"
        self._key_header = key_header.lower()

    @classmethod
    def build(cls, parts: Parts) -> TransportControl:
        """The control of a policy."""
        section = parts.sections[cls.section]
        assert isinstance(section, Transport)
        return cls(section, parts.key_header)

    def address(self, evaluation: Evaluation) -> Judgement | None:
        """Refuses what did not come over HTTPS."""
        finding = self.judge(evaluation.head)
        return Judgement((finding,)) if finding is not None else None

    def judge(self, head: RequestHead) -> Finding | None:
        """What is wrong with how the request came."""
        if head.scheme == "https" or (self._loopback and is_loopback(head.peer) and is_loopback(head.client_address)):
            return None
        detail = "This API answers over HTTPS only."
        key_id = self._exposed(head)
        if key_id is None:
            return Finding("transport.plain", detail, 403, owasp="API8", attack="T1040")
        detail += " The key in this request was sent unencrypted: replace the key."
        return Finding("transport.credential_exposed", detail, 403, evidence=f"key {key_id} was sent unencrypted",
                       owasp="API2", attack="T1040")  # fmt: skip

    def _exposed(self, head: RequestHead) -> str | None:
        sent = [head.fields.get(self._key_header, "")]
        if (authorization := parse_authorization(head.fields.get("authorization", ""))) is not None:
            sent.append(authorization[1])
        for text in sent:
            if (key := parse_api_key(text)) is not None:
                return key.id
        return None


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own: 127.0.0.0/8 or ::1."""
    found = parse_address(address)
    if found is None:
        return False
    return found.number >> 24 == 127 if found.bits == 32 else found.number == 1
