"""Policy section `auth`: access codes and tokens for clients."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from sallygate.parsing.addresses import is_loopback
from sallygate.policy.fields import RateText, Seconds, Section
from sallygate.policy.units import read_rate


def _split(url: str) -> SplitResult:
    """The parts of a URL; those of an empty one for what is none."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else urlsplit("")
    except ValueError:
        return urlsplit("")


class Smtp(Section):
    """Codes by e-mail."""

    server: str = Field(description="Host and port of the submission server, `mail.example:587`.", pattern=r"^.+:\d+$")
    sender: str = Field(description="Sender address of the messages.", pattern=r"^[^@\s]+@[^@\s]+$")
    tls: str = Field(
        "starttls",
        description="`starttls`, `implicit` (usually port 465), or `none`, for this machine only.",
        pattern="^(starttls|implicit|none)$",
    )
    user: str = Field("", description="User name at the server; none by default.")
    password: str | None = Field(
        None, description="File of the password, or `credential:NAME` for a credential of systemd."
    )
    ca: str | None = Field(None, description="File of certificate authorities; the system's by default.")
    subject: str = Field("Your access code", description="Subject of the message.", pattern=r"^[^\r\n]{1,200}$")

    @model_validator(mode="after")
    def _encrypted(self) -> Smtp:
        if self.tls == "none" and not is_loopback(self.server.rpartition(":")[0].strip("[]")):
            raise ValueError("would send codes unencrypted over a network; write `tls: starttls` or `tls: implicit`")
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` need each other; write both or neither")
        return self


class Webhook(Section):
    """Codes by your own service, for example as text messages."""

    url: str = Field(description="URL that codes are posted to.")
    secret: str = Field(
        description="File of the secret that signs them (HMAC-SHA-256), 32 bytes or more, or `credential:NAME`."
    )

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = _split(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
            raise ValueError("not a URL; write for example https://codes.example/send")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("would send codes unencrypted over a network; use https")
        return url


class Delivery(Section):
    """How codes reach their owner: one of these."""

    smtp: Smtp | None = Field(None, description="By e-mail.")
    webhook: Webhook | None = Field(None, description="By your own service.")
    outbox: str | None = Field(
        None,
        description="File for the codes, for development only: every reader of the file has the codes. Relative to the state directory.",
    )

    @model_validator(mode="after")
    def _one(self) -> Delivery:
        if sum(one is not None for one in (self.smtp, self.webhook, self.outbox)) != 1:
            raise ValueError("needs exactly one channel; write `smtp: …`, `webhook: …` or `outbox: outbox.jsonl`")
        return self


class Codes(Section):
    """One-time access codes."""

    life: Annotated[Seconds, Field(ge=60, le=3600)] = Field(600.0, description="Life of a code, 1m to 1h.")
    account: RateText = Field(
        default_factory=lambda: read_rate("6/h burst 3"), description="Codes sent to one account."
    )
    address: RateText = Field(
        default_factory=lambda: read_rate("20/h burst 5"),
        description="Code requests of one address (IPv6: a /64), for all accounts.",
    )
    overall: RateText = Field(default_factory=lambda: read_rate("5/s burst 50"), description="Codes sent in total.")


class Tokens(Section):
    """OAuth 2.0 tokens."""

    access: Annotated[Seconds, Field(ge=60, le=3600)] = Field(
        600.0, description="Life of an access token (a JWT), 1m to 1h."
    )
    refresh: Annotated[Seconds, Field(ge=3600, le=366 * 86400)] = Field(
        30 * 86400.0, description="Life of a sign-in: its refresh tokens end then."
    )


class Auth(Section):
    """Access codes and tokens for clients without a key."""

    prefix: str = Field("/auth", description="Path of the endpoints.", pattern=r"^(/[A-Za-z0-9_-]+)+$")
    issuer: str = Field(description="The tokens' `iss`: the API's own https URL, `https://api.example`.")
    audience: str | None = Field(None, description="The tokens' `aud`; the issuer by default.")
    delivery: Delivery | None = Field(None, description="How codes reach their owner; without it no codes are sent.")
    codes: Codes = Field(Codes(), description="One-time access codes.")
    tokens: Tokens = Field(Tokens(), description="OAuth 2.0 tokens.")

    @property
    def metadata_path(self) -> str:
        """RFC 8414, section 3: between the host and the issuer's own path."""
        return f"/.well-known/oauth-authorization-server{urlsplit(self.issuer).path}"

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, issuer: str) -> str:
        parts = _split(issuer)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if (parts.scheme != "https" and not plain) or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("not an https URL without query and fragment; write for example https://api.example")
        return issuer.rstrip("/")
