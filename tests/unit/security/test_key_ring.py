"""The kept HMAC is HMAC-SHA-256."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from sallygate.security.key_ring import KeptHmac


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_kept_hmac_is_hmac(key: bytes, message: bytes) -> None:
    kept = KeptHmac(key)
    assert kept(message) == hmac.digest(key, message, "sha256")
    assert kept(message) == kept(message), "asking leaves nothing behind"
