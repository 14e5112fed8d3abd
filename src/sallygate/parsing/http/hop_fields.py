"""Names of the header fields that concern one hop, and are never forwarded."""

from __future__ import annotations

PER_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization proxy-connection te "
    "trailer transfer-encoding upgrade http2-settings".split()
)
"""In lower case. RFC 9110, section 7.6.1, and RFC 9113, section 8.2.2."""
CLIENT_CLAIMS = frozenset(
    (b"cf-connecting-ip", b"cf-connecting-ipv6", b"cf-pseudo-ipv4", b"client-ip", b"cluster-client-ip",
     b"fastly-client-ip", b"fastly-client-ssl", b"fly-client-ip", b"front-end-https", b"forwarded-for",
     b"proxy", b"proxy-client-ip", b"true-client-ip", b"wl-proxy-client-ip", b"x-appengine-user-ip",
     b"x-azure-clientip", b"x-azure-socketip", b"x-client-ip", b"x-client-ssl-protocol", b"x-cluster-client-ip",
     b"x-coming-from", b"x-envoy-external-address", b"x-forwarded", b"x-forwarded-client-cert", b"x-forwarded-protocol",
     b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-host", b"x-https", b"x-original-forwarded-for", b"x-original-host",
     b"x-originating-ip", b"x-proxyuser-ip", b"x-real-port", b"x-remote-addr", b"x-remote-ip", b"x-scheme",
     b"x-ssl-client-cert", b"x-ssl-client-dn", b"x-ssl-client-s-dn", b"x-ssl-client-verify", b"x-true-client-ip",
     b"x-url-scheme", b"x-vercel-forwarded-for")
)  # fmt: skip
"""Fields by which a proxy says who the client is, or that it came over TLS, and which frameworks believe. `Proxy` names
the proxy that a CGI program asks through (CVE-2016-5385). The gate drops them, but for those that the contract declares
as parameters."""
FORWARDING = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix",
     b"x-forwarded-proto", b"x-forwarded-server", b"x-real-ip")
)  # fmt: skip
"""The same, in the names that the proxy itself writes."""
NOT_IN_TRAILERS = frozenset(
    (b"age", b"authorization", b"cache-control", b"content-encoding", b"content-length", b"content-range",
     b"content-type", b"date", b"expires", b"host", b"location", b"retry-after", b"server", b"set-cookie", b"vary",
     b"warning", b"www-authenticate", *(name.encode() for name in PER_HOP))
)  # fmt: skip
"""Fields that mean something before the body only: framing, routing, authentication, control data and content format
(RFC 9110, section 6.5.1). A client that merges trailers into the header would take them for what was decided on."""
