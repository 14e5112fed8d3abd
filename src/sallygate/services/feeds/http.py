"""HTTP requests to servers of feeds: bounded in time and bytes, to the policy's addresses only.

A redirect is an answer like any other wrong one. Nothing is uncompressed: a feed is as large as what was sent. Messages
name the server's address without its query, which often holds a key, and repeat nothing of what it answered.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from types import TracebackType

import aiohttp
from msgspec import Struct
from yarl import URL

from sallygate.net.http_client import FetchError
from sallygate.policy.intelligence import without_query

FEED_BYTES_MAX = 256 << 20
"""A million STIX indicators take 400 MB as a bundle and come by TAXII's pages; a million addresses as a list, 15 MB."""
ANSWER_S = 300.0
"""For one answer, to its last byte: 256 MiB at 7 Mbit/s."""
SILENCE_S = 30.0
"""Between two parts of an answer, and to connect."""


class NotThere(FetchError):
    """404 or 410."""


class Answer(Struct, frozen=True):
    """Answer of a feed server: body, header fields, and whether nothing has changed (304)."""

    data: bytes
    headers: Mapping[str, str]
    """Names in lower case; of one that stands twice the last."""
    unchanged: bool = False
    """304: what is known already still holds."""


class Asking:
    """One server, asked several times."""

    def __init__(self, ca: str, username: str, password: str) -> None:
        self._trusted = ssl.create_default_context(cafile=ca or None)
        proof = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {proof}"} if username else {}
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=SILENCE_S, sock_read=SILENCE_S)
        self._client = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def __aenter__(self) -> Asking:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(
        self, url: str, accept: str, bytes_max: int = FEED_BYTES_MAX, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`headers` are those that ask whether it has changed. Raises `FetchError`."""
        shown = without_query(url)
        asked = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "sallygate", **self._headers,
                 **(headers or {})}  # fmt: skip
        try:
            async with self._client.get(
                URL(url, encoded=True), headers=asked, allow_redirects=False, ssl=self._trusted
            ) as answer:
                said = {name.lower(): value for name, value in answer.headers.items()}
                if answer.status == 304 and headers:  # who answers so unasked would empty a feed
                    return Answer(b"", said, unchanged=True)
                _refuse(shown, answer.status, said)
                data = bytearray()
                async for part in answer.content.iter_any():
                    data += part
                    if len(data) > bytes_max:
                        raise FetchError(f"{shown}: answers with more than {bytes_max >> 20} MiB")
        except TimeoutError:
            raise FetchError(f"{shown}: no whole answer within {ANSWER_S:g} s, or silent for {SILENCE_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(f"{shown}: {_said(error)}") from None
        return Answer(bytes(data), said)


def _refuse(shown: str, status: int, headers: Mapping[str, str]) -> None:
    if 300 <= status < 400:
        raise FetchError(f"{shown}: answers {status}, a redirect, which is not followed; write the address it leads to")
    if status in (401, 403):
        raise FetchError(f"{shown}: answers {status}; check `username` and `password`")
    if status in (404, 410):
        raise NotThere(f"{shown}: answers {status}")
    if status != 200:
        raise FetchError(f"{shown}: answers {status}")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchError(f"{shown}: answers compressed, which was not asked for")


def _said(error: Exception) -> str:
    """Without the address, which may hold a key."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not trusted, or it does not speak TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be connected to: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the answer was cut short"
    return f"no answer that can be read ({type(error).__name__})"
