"""Bounded HTTP client: one GET, limited in time and bytes. A redirect counts as a wrong answer."""

from __future__ import annotations

import re
import ssl

import aiohttp
from msgspec import Struct
from yarl import URL

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])")


class FetchError(Exception):
    """What was asked for did not come. The message says which address and why."""


class Fetched(Struct, frozen=True):
    """Answer of a GET: its body and how long it may be kept."""

    data: bytes
    max_age_s: float | None
    """What `Cache-Control` says."""


async def get(url: str, trusted: ssl.SSLContext, bytes_max: int, accept: str, total_s: float) -> Fetched:
    """The answer of one GET, whole. `total_s` is for everything: name, connection, TLS, answer. Raises `FetchError`."""
    timeout = aiohttp.ClientTimeout(total=total_s)
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
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
        raise FetchError(f"{url}: no whole answer within {total_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FetchError(f"{url}: {error}") from None
    return Fetched(data, float(found[1]) if found else None)
