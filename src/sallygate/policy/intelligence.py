"""Policy section `network.intelligence`: sources of feeds, their format, and the act on a caller they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from sallygate.parsing.indicators import Format, Settings
from sallygate.policy.fields import RateText, Seconds, Section
from sallygate.policy.issuers import Say, unsafe_url
from sallygate.policy.units import read_rate

Act = Literal["observe", "score", "throttle", "deny"]
Kind = Literal["file", "url", "taxii", "misp"]
KINDS: tuple[Kind, ...] = ("file", "url", "taxii", "misp")
ENFORCING = ("deny", "throttle")


class FeedSection(Section):
    """One feed: from a `file`, a `url`, a `taxii` collection or a `misp` feed."""

    name: str = Field(
        description="Name of the feed in events and commands.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
    )
    file: str | None = Field(None, description="A file relative to this one, read again when it changes.")
    url: str | None = Field(None, description="An https URL.")
    taxii: str | None = Field(
        None, description="The https URL of a TAXII 2.1 collection, `https://taxii.example/api1/collections/ID/`."
    )
    misp: str | None = Field(None, description="The https URL of a MISP feed: the directory of its `manifest.json`.")
    format: Format | None = Field(
        None,
        description="Format of a file or URL; if absent, derived from its name or content. `plain`: one address, prefix or range a line.",
    )
    column: str = Field(
        "",
        max_length=100,
        description="Column of addresses in a table, by its name in the header or its number from 1. Derived if only one column has addresses.",
    )
    confidence_column: str = Field("", max_length=100, description="Column of confidences in a table, 0 to 100.")
    username: str = Field(
        "", description="User name at the server; none by default.", pattern=r"^[^:\x00-\x1f\x7f]{0,200}$"
    )
    password: str | None = Field(
        None, description="File of the password, or `credential:NAME` for a credential of systemd."
    )
    ca: str | None = Field(None, description="File of certificate authorities for its https; the system's by default.")
    every: Annotated[Seconds, Field(ge=60, le=7 * 86400)] = Field(
        3600.0, description="Interval between fetches, 1m to 7d; a file is checked every second."
    )
    expiry: Annotated[Seconds, Field(ge=60, le=3660 * 86400)] = Field(
        30 * 86400.0,
        description="Life of an indicator without an end: from its own date (STIX, MISP), otherwise from its last appearance in the feed.",
    )
    confidence: Annotated[int, Field(ge=1, le=100)] = Field(
        50, description="Confidence of indicators without one, 1 to 100."
    )
    confidence_min: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="Indicators with less confidence are not used."
    )
    act: Act = Field(
        "observe",
        description="Treatment of a request from an address that the feed names: a finding (`observe`), a finding that the monitor weighs (`score`), a limited rate (`throttle`), or a refusal (`deny`). The default refuses nothing, so that you can first check a new feed.",
    )
    rate: RateText | None = Field(
        None,
        description="With `throttle`: requests of one address (an IPv6 /64 counts as one), 1/s burst 5 by default.",
    )
    share_max: Annotated[float, Field(gt=0, le=1)] = Field(
        0.01,
        description="Largest share of all public IPv4 or IPv6 addresses that the feed may deny or throttle. A feed that covers more is refused as a whole.",
    )
    bad_max: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="Largest share of unreadable lines or objects. A feed with more is refused as a whole."
    )

    @model_validator(mode="after")
    def _whole(self) -> FeedSection:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError("needs exactly one source; write one of `file`, `url`, `taxii` and `misp`")
        if self.kind in ("taxii", "misp") and self.format is not None:
            raise ValueError(f"`format` does not apply to `{self.kind}`; remove `format`")
        if (self.column or self.confidence_column) and self.format not in (None, "csv"):
            raise ValueError("columns apply to tables only; write `format: csv`, or remove the columns")
        if self.kind == "file" and (self.username or self.password is not None or self.ca is not None):
            raise ValueError("`username`, `password` and `ca` apply to URLs only; remove them for a file")
        if bool(self.username) != (self.password is not None):
            raise ValueError("`username` and `password` need each other; write both or neither")
        if self.rate is not None and self.act != "throttle":
            raise ValueError("`rate` applies to `act: throttle` only; remove `rate`, or write `act: throttle`")
        return self

    @property
    def kind(self) -> Kind:
        """Kind of the source: the one of `file`, `url`, `taxii` or `misp` that is set."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def locator(self) -> str:
        """The file or URL."""
        locator: str = getattr(self, self.kind)
        return locator

    @property
    def source(self) -> str:
        """Where it is from, as one name: what was kept of another source does not count."""
        return f"{self.kind} {self.locator}"

    @property
    def shown(self) -> str:
        """The same, as it may be shown: the query of a URL often holds a key."""
        return f"{self.kind} {without_query(self.locator)}" if self.kind != "file" else self.source

    @property
    def settings(self) -> Settings:
        """Settings for the reader of the feed's format."""
        return Settings(self.confidence, self.confidence_min, self.expiry, self.column, self.confidence_column)

    @property
    def allowed_rate(self) -> tuple[float, int]:
        """Requests a second, and how many at once."""
        rate = self.rate or read_rate("1/s burst 5")
        return rate.per_s, rate.burst

    def is_over_share(self, shares: tuple[float, float]) -> bool:
        """Whether it would refuse more of the public addresses than it may."""
        return self.act in ENFORCING and max(shares) > self.share_max


def without_query(url: str) -> str:
    """URL with its query replaced by `…`, for messages: a query may hold a key."""
    base, mark, _ = url.partition("?")
    return base + ("?…" if mark else "")


def check_intelligence(say: Say, feeds: Sequence[FeedSection], beside: Callable[[str], Path]) -> None:
    """Says what is wrong beyond the types. Reads nothing but whether files are there, and asks nobody."""
    seen: set[str] = set()
    for number, feed in enumerate(feeds):
        path = ("network", "intelligence", number)
        if feed.name in seen:
            say((*path, "name"), "value", f"two feeds have the name `{feed.name}`", "give each feed another `name`")
        seen.add(feed.name)
        if feed.kind == "file":
            _check_file(say, (*path, "file"), feed.locator, beside)
        else:
            _check_url(say, (*path, feed.kind), feed)
        if feed.ca is not None:
            _check_file(say, (*path, "ca"), feed.ca, beside)
        named = feed.password is not None and not feed.password.startswith("credential:")
        if named and not beside(feed.password or "").is_file():
            # Not repeated: it may be the password itself.
            say((*path, "password"), "file", "there is no such file",
                "write the path of a file with the password, relative to the policy file")  # fmt: skip


def _check_file(say: Say, path: tuple[str | int, ...], name: str, beside: Callable[[str], Path]) -> None:
    if not beside(name).is_file():
        say(path, "file", f"there is no file `{name}`", "write a path relative to the policy file")


def _check_url(say: Say, path: tuple[str | int, ...], feed: FeedSection) -> None:
    if why := unsafe_url(feed.locator):
        unencrypted = "unencrypted" in why
        said = (
            "would be fetched unencrypted: an attacker on the network path could replace the content; write https://"
            if unencrypted
            else why
        )
        hint = "write an https URL"
        if "has more than" in why:
            hint = "write name and password in `username` and `password`"
        say(path, "unsafe" if unencrypted else "value", f"the URL {said}", hint)
    elif feed.kind in ("taxii", "misp") and urlsplit(feed.locator).query:
        say(path, "value", "the URL has a query; a collection or feed has none", "remove the query")
