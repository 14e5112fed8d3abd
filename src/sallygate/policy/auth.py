"""Policy section `auth`: access codes and tokens for clients."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from sallygate.parsing.addresses import is_loopback
from sallygate.policy.fields import RateText, Seconds, Section
from sallygate.policy.units import read_rate


class Smtp(Section):
    """Codes by e-mail."""

    server: str = Field(description="Host and port of the submission server, `mail.example:587`.", pattern=r"^.+:\d+$")
    sender: str = Field(description="The address they come from.", pattern=r"^[^@\s]+@[^@\s]+$")
    tls: str = Field(
        "starttls",
        description="`starttls`, `implicit` (usually port 465), or `none`, for this machine alone.",
        pattern="^(starttls|implicit|none)$",
    )
    user: str = Field("", description="User name at the server; none when left out.")
    password: str | None = Field(
        None, description="File of the password, or `credential:NAME` for one handed over by systemd."
    )
    ca: str | None = Field(None, description="File of certificate authorities; the system's when left out.")
    subject: str = Field("Your access code", description="Of the message.", pattern=r"^[^\r\n]{1,200}$")

    @model_validator(mode="after")
    def _encrypted(self) -> Smtp:
        if self.tls == "none" and not is_loopback(self.server.rpartition(":")[0].strip("[]")):
            raise ValueError("would send codes unencrypted over a network; write `tls: starttls` or `tls: implicit`")
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` go together; name both or neither")
        return self


class Webhook(Section):
    """Codes to a service of yours, which sends them on: by text message, say."""

    url: str = Field(description="Where they are posted.")
    secret: str = Field(
        description="File of the secret they are signed with (HMAC-SHA-256), 32 bytes or more, or `credential:NAME`."
    )

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
            raise ValueError("not a URL; write for example https://codes.example/send")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("would send codes unencrypted over a network; use https")
        return url


class Delivery(Section):
    """How codes reach their owner: one of these."""

    smtp: Smtp | None = Field(None, description="By e-mail.")
    webhook: Webhook | None = Field(None, description="By a service of yours.")
    outbox: str | None = Field(
        None,
        description="File for the codes, for development only: every reader of the file has the codes. Relative to the state directory.",
    )

    @model_validator(mode="after")
    def _one(self) -> Delivery:
        if sum(one is not None for one in (self.smtp, self.webhook, self.outbox)) != 1:
            raise ValueError("name one channel; write `smtp: …`, `webhook: …` or `outbox: outbox.jsonl`")
        return self


class Codes(Section):
    """One-time access codes."""

    life: Annotated[Seconds, Field(ge=60, le=3600)] = Field(600.0, description="How long a code counts, 1m to 1h.")
    account: RateText = Field(
        default_factory=lambda: read_rate("6/h burst 3"), description="How often codes are sent to one account."
    )
    address: RateText = Field(
        default_factory=lambda: read_rate("20/h burst 5"),
        description="How often one address (IPv6: a /64) may ask for one, whatever the account.",
    )
    overall: RateText = Field(
        default_factory=lambda: read_rate("5/s burst 50"), description="How many are sent in all."
    )


class Tokens(Section):
    """OAuth 2.0 tokens."""

    access: Annotated[Seconds, Field(ge=60, le=3600)] = Field(
        600.0, description="Life of an access token (a JWT), 1m to 1h."
    )
    refresh: Annotated[Seconds, Field(ge=3600, le=366 * 86400)] = Field(
        30 * 86400.0, description="Life of a sign-in: refresh tokens are made until then."
    )


class Auth(Section):
    """What unknown clients may do besides reading the specification, and the tokens they get."""

    prefix: str = Field("/auth", description="Where it is.", pattern=r"^(/[A-Za-z0-9_-]+)+$")
    issuer: str = Field(description="The tokens' `iss`: the API's own https URL, `https://api.example`.")
    audience: str | None = Field(None, description="The tokens' `aud`; the issuer when left out.")
    delivery: Delivery | None = Field(None, description="How codes reach their owner; none are made without.")
    codes: Codes = Field(Codes(), description="One-time access codes.")
    tokens: Tokens = Field(Tokens(), description="OAuth 2.0 tokens.")

    @property
    def metadata_path(self) -> str:
        """RFC 8414, section 3: between the host and the issuer's own path."""
        return f"/.well-known/oauth-authorization-server{urlsplit(self.issuer).path}"

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if (parts.scheme != "https" and not plain) or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("not an https URL without query and fragment; write for example https://api.example")
        return issuer.rstrip("/")
