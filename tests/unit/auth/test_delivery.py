"""Channels, against real servers: SMTP with STARTTLS and a password, a webhook that checks what it is sent."""

from __future__ import annotations

import asyncio
import base64
import hmac
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from patience import patient
from sallygate.auth.delivery import DeliveryError, Letter, OutboxChannel, SmtpChannel, WebhookChannel
from sallygate.policy.auth import Smtp
from sallygate.security.certificates import development_certificate
from support import held_port

LETTER = Letter("code_1", "alice@example.org", "alice", "access", "192.0.2.0/24", "ABCD-EFGH", time.time() + 600)
SECRET = b"s" * 32
AGE_S_MAX = 300.0


class Mailbox:
    def __init__(self, refuse: bool = False) -> None:
        self.refuse = refuse
        self.got: list[Envelope] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:
        if self.refuse:
            return "550 no such mailbox alice@example.org"
        self.got.append(envelope)
        return "250 OK"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    return development_certificate(tmp_path / "certificates", "127.0.0.1", time.time())


def served(mailbox: Mailbox, certificate: tuple[Path, Path, Path] | None) -> Controller:
    settings: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate[0], certificate[1])
        right = (b"sender", b"secret")
        settings = {
            "tls_context": context, "require_starttls": True, "auth_required": True,
            "authenticator": lambda server, session, envelope, mechanism, data: AuthResult(
                success=(data.login, data.password) == right
            ),
        }  # fmt: skip
    return Controller(mailbox, hostname="127.0.0.1", port=held_port(), **settings)


@pytest.fixture
def mail(certificate: tuple[Path, Path, Path]) -> Iterator[tuple[Mailbox, Controller]]:
    mailbox = Mailbox()
    controller = served(mailbox, certificate)
    controller.start()
    yield mailbox, controller
    controller.stop()


def test_a_code_goes_by_mail_encrypted(mail: tuple[Mailbox, Controller], certificate: tuple[Path, Path, Path]) -> None:
    mailbox, controller = mail
    section = Smtp(server=f"127.0.0.1:{controller.port}", sender="gate@example.org", user="sender", password="file")
    asyncio.run(SmtpChannel(section, "secret", str(certificate[2])).send(LETTER))
    (letter,) = mailbox.got
    text = bytes(letter.content or b"").decode()
    assert letter.rcpt_tos == ["alice@example.org"] and letter.mail_from == "gate@example.org"
    assert "ABCD-EFGH" in text and "192.0.2.0/24" in text and "Auto-Submitted: auto-generated" in text


def test_a_server_nobody_vouches_for_gets_no_code(mail: tuple[Mailbox, Controller]) -> None:
    mailbox, controller = mail
    section = Smtp(server=f"127.0.0.1:{controller.port}", sender="gate@example.org", user="sender", password="file")
    with pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        asyncio.run(SmtpChannel(section, "secret", None).send(LETTER))
    assert not mailbox.got


def test_what_a_server_refuses_is_said_without_address_and_code() -> None:
    controller = served(Mailbox(refuse=True), None)
    controller.start()
    try:
        section = Smtp(server=f"127.0.0.1:{controller.port}", sender="gate@example.org", tls="none")
        with pytest.raises(DeliveryError) as failed:
            asyncio.run(SmtpChannel(section, "", None).send(LETTER))
    finally:
        controller.stop()
    assert "550" in str(failed.value) and "alice" not in str(failed.value) and "ABCD" not in str(failed.value)


@pytest.mark.parametrize("contact", ["alice@example.org\r\nBcc: thief@example.org", "nobody", ""])
def test_no_header_comes_in_by_a_contact(contact: str) -> None:
    section = Smtp(server="127.0.0.1:1", sender="gate@example.org", tls="none")
    letter = Letter("code_1", contact, "alice", "access", "192.0.2.0/24", "ABCD-EFGH", 0.0)
    with pytest.raises(DeliveryError, match="no e-mail address"):
        asyncio.run(SmtpChannel(section, "", None).send(letter))


class Receiver:
    """A service as the guide tells to write one."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.codes: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        message, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        body = await request.read()
        signed = hmac.digest(SECRET, f"{message}.{at}.".encode() + body, "sha256")
        right = "v1," + base64.b64encode(signed).decode()
        if not hmac.compare_digest(right, request.headers["webhook-signature"]):
            return web.Response(status=401)
        if abs(time.time() - float(at)) > AGE_S_MAX or message in self.seen:
            return web.Response(status=409)
        self.seen.add(message)
        self.codes.append((await request.json())["code"])
        return web.Response(status=204)


async def posted(take: Callable[[web.Request], Awaitable[web.Response]], secret: bytes, times: int = 1) -> None:
    app = web.Application()
    app.router.add_post("/send", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := held_port())
    await site.start()
    try:
        for _ in range(times):
            await WebhookChannel(f"http://127.0.0.1:{port}/send", secret).send(LETTER)
    finally:
        await runner.cleanup()


def test_a_webhook_is_signed_and_taken_once() -> None:
    receiver = Receiver()
    with pytest.raises(DeliveryError, match="409"):
        asyncio.run(posted(receiver.take, SECRET, times=2))
    assert receiver.codes == ["ABCD-EFGH"]


def test_a_webhook_signed_by_another_is_refused() -> None:
    receiver = Receiver()
    with pytest.raises(DeliveryError, match="401"):
        asyncio.run(posted(receiver.take, b"t" * 32))
    assert not receiver.codes


def test_a_webhook_is_followed_nowhere() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/send")

    with pytest.raises(DeliveryError, match="307") as failed:
        asyncio.run(posted(elsewhere, SECRET))
    assert "/send" not in str(failed.value), "the path of a webhook is often its secret"
    assert asked == ["/send"]


def test_the_outbox_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    asyncio.run(OutboxChannel(file).send(LETTER))
    assert "ABCD-EFGH" in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeliveryError):
        asyncio.run(OutboxChannel(file).send(LETTER))
    assert "ABCD" not in repr(LETTER)


def test_a_mail_server_that_holds_its_senders_holds_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's own threads look names up for the gate. Here it has one, and more letters than that are stuck."""
    release = Event()
    channel = SmtpChannel(Smtp(server="127.0.0.1:1", sender="gate@example.org", tls="none"), "", None)
    monkeypatch.setattr(channel, "_send", lambda letter: release.wait(patient(20)))
    monkeypatch.setattr("sallygate.auth.delivery.TIMEOUT_S", 0.02)

    async def story() -> str:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        sent = await asyncio.gather(*(channel.send(LETTER) for _ in range(6)), return_exceptions=True)
        assert all(isinstance(one, DeliveryError) for one in sent)
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: "looked up"), patient(5))
        finally:
            release.set()

    assert asyncio.run(story()) == "looked up"
