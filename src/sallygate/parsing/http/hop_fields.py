"""Names of the header fields that concern one hop, and are never passed on."""

from __future__ import annotations

PER_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization proxy-connection te "
    "trailer transfer-encoding upgrade http2-settings".split()
)
"""In lower case. RFC 9110, section 7.6.1, and RFC 9113, section 8.2.2."""
