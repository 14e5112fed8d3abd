"""Channels that deliver a code to its owner: e-mail, webhook, or a file.

Knows nothing of what a code opens. A channel either takes a code, or raises `DeliveryError`: then the code never
counts.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import secrets
import smtplib
import ssl
import threading
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct
from msgspec.json import encode

from sallygate.policy.auth import Smtp

TIMEOUT_S = 15.0
"""For a channel to take a code. A code lives for minutes."""
SMTP_AT_ONCE = 4
"""As many as senders. While so many are stuck, further codes do not count."""
ANSWER_BYTES_MAX = 4096
SECRET_BYTES_MIN = 32


class DeliveryError(Exception):
    """The channel did not take it. The message says what went wrong, without the code or the contact."""


class Letter(Struct, frozen=True):
    """A code on its way. Its representation shows no code."""

    id: str
    contact: str
    account: str
    purpose: str
    network: str
    """Where it was asked for."""
    code: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Letter(id={self.id!r}, purpose={self.purpose!r})"

    @property
    def text(self) -> str:
        """Text of the message, in plain English, with the code and the time it expires (UTC)."""
        what = "sign in" if self.purpose == "access" else "admit a new location"
        until = time.strftime("%H:%M UTC", time.gmtime(self.expires_at))
        return (
            f"Your code to {what} is {self.code}\n\n"
            f"The code works once, until {until}, and only from the network {self.network} that requested it.\n"
            "If you did not request the code, ignore this message and do not share the code.\n"
        )


class Channel(Protocol):
    """Protocol of a channel that delivers codes."""

    async def send(self, letter: Letter) -> None:
        """Deliver one letter. Raises `DeliveryError`, whose text names no recipient."""


class SmtpChannel:
    """By the standard library's client, a thread a message: one at a time is what codes are. A server that answers a
    byte at a time holds a thread for as long as it likes; so they are few, its own, and do not hold up the end of the
    process."""

    def __init__(self, section: Smtp, password: str, ca: str | None) -> None:
        self._section, self._password = section, password
        self._free = threading.BoundedSemaphore(SMTP_AT_ONCE)
        self._context = ssl.create_default_context(cafile=ca) if section.tls != "none" else None

    async def send(self, letter: Letter) -> None:
        """Deliver by SMTP in a thread. Raises `DeliveryError` for a bad contact, a busy channel or a failed server."""
        if "\r" in letter.contact or "\n" in letter.contact or "@" not in letter.contact:
            raise DeliveryError("the account's contact is no e-mail address")
        if not self._free.acquire(blocking=False):
            raise DeliveryError(f"{self._section.server}: has not ended with the messages before")
        try:
            await asyncio.wait_for(self._in_thread(letter), 2 * TIMEOUT_S)
        except (OSError, smtplib.SMTPException, ValueError, TimeoutError) as error:
            raise DeliveryError(f"{self._section.server}: {_said(error)}") from None

    def _in_thread(self, letter: Letter) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if sent.done():  # nobody waits any more
                return
            sent.set_result(None) if error is None else sent.set_exception(error)

        def run() -> None:
            error: BaseException | None = None
            try:
                self._send(letter)
            except Exception as failed:
                error = failed
            finally:
                self._free.release()
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, error)

        threading.Thread(target=run, name="sallygate-smtp", daemon=True).start()
        return sent

    def _send(self, letter: Letter) -> None:
        section = self._section
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = section.sender, letter.contact, section.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(letter.id, section.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers
        message.set_content(letter.text)
        host, _, port = section.server.rpartition(":")
        with self._connected(host.strip("[]"), int(port)) as server:
            if section.user:
                server.login(section.user, self._password)
            server.send_message(message)

    def _connected(self, host: str, port: int) -> smtplib.SMTP:
        if self._section.tls == "implicit":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=self._context)
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        if self._context is not None:
            try:
                server.starttls(context=self._context)
            except BaseException:
                server.close()
                raise
        return server


class WebhookChannel:
    """Signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and `webhook-signature`, the HMAC-SHA-256
    of `id.timestamp.body`. Who receives it refuses what is older than five minutes or has an id it has seen."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url, self._secret = url, secret
        self._where = urlsplit(url).netloc
        """What may be said of it: the rest of the URL may be a secret."""

    async def send(self, letter: Letter) -> None:
        """Deliver as a JSON request to the operator's URL. Raises `DeliveryError` unless the answer is 2xx."""
        body = encode(
            {
                "type": "code", "contact": letter.contact, "account": letter.account, "purpose": letter.purpose,
                "network": letter.network, "code": letter.code, "expires_at": letter.expires_at,
            }
        )  # fmt: skip
        at = str(int(time.time()))
        signed = hmac.digest(self._secret, f"{letter.id}.{at}.".encode() + body, "sha256")
        headers = {
            "content-type": "application/json", "webhook-id": letter.id, "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }  # fmt: skip
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                await answer.content.read(ANSWER_BYTES_MAX)
                if not 200 <= answer.status < 300:
                    raise DeliveryError(f"{self._where}: answered {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DeliveryError(f"{self._where}: {_said(error)}") from None


class OutboxChannel:
    """A line of JSON a code, in a file for its owner alone: for development."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def send(self, letter: Letter) -> None:
        """Append the letter as one line of JSON. Raises `DeliveryError` if the file cannot be written."""
        line = encode(
            {
                "at": time.time(), "to": letter.contact, "account": letter.account, "purpose": letter.purpose,
                "code": letter.code, "text": letter.text,
            }
        )  # fmt: skip
        try:
            await asyncio.to_thread(self._append, line + b"\n")
        except OSError as error:
            raise DeliveryError(f"{self._file}: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "ab") as stream:
            stream.write(line)


def letter_id() -> str:
    """New random id of a letter: `code_` and 24 hexadecimal digits (96 bits)."""
    return "code_" + secrets.token_hex(12)


def _said(error: BaseException) -> str:
    """SMTP servers quote addresses; the message keeps only the kind of error and its number."""
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}"
