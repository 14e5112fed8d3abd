"""HTTP requests to an issuer for its keys, to the policy's addresses only.

A redirect is an answer like any other wrong one: following it would let its author choose where keys come from.
What is fetched is bytes; whether they are keys, others say.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from sallygate.net.http_client import Fetched, FetchError, get
from sallygate.parsing.jose.jwk import KEY_SET_BYTES_MAX
from sallygate.parsing.json_text import JsonError, parse_json
from sallygate.policy.issuers import unsafe_url

FETCH_S = 5.0
"""For everything: name, connection, TLS, answer. The request that needs the key waits so long at most."""
ACCEPT = "application/json, application/jwk-set+json"
DISCOVERY_BYTES_MAX = 64 * 1024
"""Documents are 1 to 8 KiB."""


def discovery_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer describes itself: OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


async def fetch(url: str, trusted: ssl.SSLContext) -> Fetched:
    """The key set at `url`. Raises `FetchError`."""
    return await get(url, trusted, KEY_SET_BYTES_MAX, ACCEPT, FETCH_S)


async def discover(issuer: str, trusted: ssl.SSLContext) -> str:
    """The URL of an issuer's keys, by its own description. Raises `FetchError`."""
    first: FetchError | None = None
    for url in discovery_urls(issuer):
        try:
            described = await get(url, trusted, DISCOVERY_BYTES_MAX, ACCEPT, FETCH_S)
            return _keys_url(url, issuer, described.data)
        except FetchError as error:
            first = first or error
    assert first is not None
    raise first


def _keys_url(url: str, issuer: str, data: bytes) -> str:
    try:
        tree = parse_json(data)
    except JsonError as error:
        raise FetchError(f"{url}: {error.detail}") from None
    if not isinstance(tree, dict) or tree.get("issuer") != issuer:  # RFC 8414, section 3.3
        raise FetchError(f"{url}: describes another issuer than {issuer}")
    found = tree.get("jwks_uri")
    if not isinstance(found, str) or len(found) > 2048:
        raise FetchError(f"{url}: names no `jwks_uri`")
    # An issuer elsewhere must not make the gate ask this machine's own servers.
    plain = found.startswith("http:") and not issuer.startswith("http:")
    if plain or (why := unsafe_url(found)):
        raise FetchError(f"{url}: its `jwks_uri` {'is not https' if plain else why}")
    return found
