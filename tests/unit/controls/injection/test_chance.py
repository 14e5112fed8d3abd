"""Keys, sessions and signatures are chance, and chance spells everything in the end. Of 200,000 none may be refused: who has
one that is would be locked out for good, and nobody could say why."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable

import pytest

from injection_harness import as_json, query, request, verdict
from patterns import prefilter
from sallygate.controls.injection.judges import scanner_names
from sallygate.controls.injection.judges.registry import JUDGES
from sallygate.controls.injection.pipeline.judging import Judging
from sallygate.offline.decide import Offline
from sallygate.offline.recordings import Recorded
from support import administration, write_policy

TOKENS, TOGETHER = 50_000, 50
LETTERS = string.ascii_letters + string.digits
CHANCE = random.Random(20261125)
KINDS: dict[str, Callable[[], str]] = {
    "base62": lambda: "".join(CHANCE.choices(LETTERS, k=64)),
    "base64": lambda: base64.b64encode(CHANCE.randbytes(64)).decode(),
    "base64url": lambda: "eyJhbGciOiJFUzI1NiJ9." + base64.urlsafe_b64encode(CHANCE.randbytes(64)).decode().rstrip("="),
    "hexadecimal": lambda: CHANCE.randbytes(32).hex(),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_tokens_of_chance_pass(kind: str) -> None:
    judging = Judging(JUDGES, prefilter())
    CHANCE.seed(kind)
    looked_at = []
    for _ in range(TOKENS // TOGETHER):
        tokens = [KINDS[kind]() for _ in range(TOGETHER)]
        if judging.looks(tokens, None) is not None:
            looked_at += [token for token in tokens if judging.looks([token], None) is not None]
    assert len(looked_at) < TOKENS // 50, "hardly any is worth a look"
    for token in looked_at:
        header = request("/", "", (b"x-auth-token", token.encode()))
        cookie = request("/", "", (b"cookie", b"session=" + token.encode()))
        for asked in (query(token), header, cookie, as_json({"token": token})):
            decision = verdict(asked).decision
            assert decision.verdict == "allow", (token, decision.findings)


def test_a_key_may_spell_the_name_of_a_scanner(tmp_path) -> None:
    """As one of a hundred thousand did: whatever identity has checked is not judged again."""
    policy = write_policy(tmp_path, "injection: {sensitivity: strict}")
    found = ""
    with administration(policy) as admin:
        while not any(word in found.lower() for word in ("nikto", "zmeu", "w3af", "vega")):
            credential, found = admin._mint("acme", "large", None, 0.0, None, "")
        admin._store.put_credentials([credential], admin._act("key.create", credential.id, "", 0.0))
    offline = Offline(policy)
    headers = ((b"host", b"a"), (b"x-api-key", found.encode()))
    asked = Recorded("GET", "https", b"/things", b"", headers, b"", "192.0.2.1")
    assert offline.decide(asked).decision.verdict == "allow"
    assert (
        scanner_names.JUDGE.judge("Mozilla/5.0 (compatible; ZmEu)", [0]) is not None
        and scanner_names.JUDGE.judge(found, [0]) is None
    )
