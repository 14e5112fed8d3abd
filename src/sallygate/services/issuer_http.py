"""Asking an issuer for its keys over HTTP: bounded in time and bytes, from where the policy says and nowhere else.

A redirect is an answer like any other wrong one: following it would let whoever writes it choose where keys come from.
What is fetched is bytes; whether they are keys, others say.
"""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct
from yarl import URL

from sallygate.parsing.jose.jwk import KEY_SET_BYTES_MAX
from sallygate.parsing.json_text import JsonError, parse_json
from sallygate.policy.issuers import unsafe_url

FETCH_S = 5.0
"""For everything: name, connection, TLS, answer. The request that needs the key waits so long at most."""
DISCOVERY_BYTES_MAX = 64 * 1024
"""Documents are 1 to 8 KiB."""
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])")


class FetchError(Exception):
    """What was asked for did not come. The message says which address and why."""


class Fetched(Struct, frozen=True):
    data: bytes
    max_age_s: float | None
    """What `Cache-Control` says."""


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
    return await _get(url, trusted, KEY_SET_BYTES_MAX)


async def discover(issuer: str, trusted: ssl.SSLContext) -> str:
    """The URL of an issuer's keys, by its own description. Raises `FetchError`."""
    first: FetchError | None = None
    for url in discovery_urls(issuer):
        try:
            described = await _get(url, trusted, DISCOVERY_BYTES_MAX)
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


async def _get(url: str, trusted: ssl.SSLContext, bytes_max: int) -> Fetched:
    timeout = aiohttp.ClientTimeout(total=FETCH_S)
    headers = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as client,
            client.get(URL(url, encoded=True), headers=headers, allow_redirects=False, ssl=trusted) as answer,
        ):
            if answer.status != 200:
                raise FetchError(f"{url}: answers {answer.status}")
            data = b""
            while part := await answer.content.read(bytes_max + 1 - len(data)):
                data += part
                if len(data) > bytes_max:
                    raise FetchError(f"{url}: answers with more than {bytes_max >> 10} KiB")
            found = _MAX_AGE.search(answer.headers.get("Cache-Control", "").lower())
    except TimeoutError:
        raise FetchError(f"{url}: no whole answer within {FETCH_S:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FetchError(f"{url}: {error}") from None
    return Fetched(data, float(found[1]) if found else None)
