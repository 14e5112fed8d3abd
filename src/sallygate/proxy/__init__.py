"""Reverse proxy: an ASGI application that streams every exchange to an upstream and back.

It decides nothing about callers: Guard has admitted every request that reaches it. It knows upstreams, connections
and the rules of HTTP intermediaries (RFC 9110, section 7; RFC 9112), and refuses to know policies, principals
and bodies.

What it promises:

- the request target leaves as it came, byte for byte; what cannot leave so is refused with 400;
- nothing is kept: no cookies, no redirects followed, no header of its own but `X-Forwarded-*`;
- nothing is asked twice, except a GET or HEAD without a body that met a kept-alive connection already closed;
- an answer that broke off is cut, never ended as if it were whole;
- every wait is bounded, and a slow reader slows the other side.
"""

from sallygate.proxy.app import ReverseProxy
from sallygate.proxy.pool import UpstreamSettings, UpstreamStatus
from sallygate.proxy.watch import ClientStalled, UpstreamBroken

__all__ = ["ClientStalled", "ReverseProxy", "UpstreamBroken", "UpstreamSettings", "UpstreamStatus"]
