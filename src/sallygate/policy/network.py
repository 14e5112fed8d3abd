"""Policy section `network`: addresses, countries and networks of callers, for everybody and by rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sallygate.parsing.countries import CONTINENTS, COUNTRIES
from sallygate.policy.fields import ControlSection, Prefix, Section
from sallygate.policy.intelligence import FeedSection

ASN_MAX = 2**32 - 1
FEEDS_MAX = 50
"""Each may take 32 MB of memory for a million indicators."""


class AddressFile(Section):
    """A list kept beside the policy, read again when it changes."""

    file: str = Field(description="One address or prefix a line, `#` for comments; relative to the policy file.")


def _country(text: object) -> object:
    if not isinstance(text, str):
        return text
    code = text.strip().upper()
    if code not in COUNTRIES:
        raise ValueError(f"{text!r} is not a country; write a code of ISO 3166-1, for example DE")
    return code


def _continent(text: object) -> object:
    if not isinstance(text, str):
        return text
    code = text.strip().upper()
    if code not in CONTINENTS:
        raise ValueError(f"{text!r} is not a continent; write one of {', '.join(CONTINENTS)}")
    return code


def _asn(text: object) -> object:
    if not isinstance(text, str):
        return text
    digits = text.strip().upper().removeprefix("AS")
    if not digits.isdecimal() or not 0 < int(digits) <= ASN_MAX:
        raise ValueError(f"{text!r} is not a network number; write for example AS64496")
    return int(digits)


Country = Annotated[str, BeforeValidator(_country)]
Continent = Annotated[str, BeforeValidator(_continent)]
Asn = Annotated[int, BeforeValidator(_asn)]
Addresses = list[Prefix | AddressFile]


class Countries(Section):
    """By country or continent, as the geography knows addresses."""

    allow: list[Country] = Field([], description="Only these countries, as ISO 3166-1 codes, `[DE, FR]`.")
    deny: list[Country] = Field([], description="None of these.")
    continents: list[Continent] = Field(
        [], description="Only these continents, `[EU]`: AF, AN, AS, EU, NA, OC, SA. With `allow`, either will do."
    )
    deny_continents: list[Continent] = Field([], description="None of these.")
    unknown: Literal["allow", "deny"] | None = Field(
        None,
        description="Addresses of no known country: private networks, and what the geography has no word of. Refused where `allow` or `continents` says who may come, allowed otherwise, unless written.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Countries:
        if not (self.allow or self.deny or self.continents or self.deny_continents or self.unknown):
            raise ValueError("names no country; write for example `deny: [XX]`, or remove `countries`")
        return self

    @property
    def refuses_unknown(self) -> bool:
        """Whether an address without a known country is refused."""
        return self.unknown == "deny" if self.unknown else bool(self.allow or self.continents)


class Reach(Section):
    """From where."""

    allow: Addresses = Field(
        [], description="Allowed in spite of `deny` and `countries`. Addresses, prefixes, and lists: `{file: …}`."
    )
    deny: Addresses = Field([], description="Refused unless `allow` contains them.")
    only: Addresses = Field(
        [], description="Partner mode: all other callers are refused. An empty file admits no caller."
    )
    countries: Countries | None = Field(None, description="Countries and continents.")
    asns: list[Asn] = Field([], description="Networks that are refused, by number, `[AS64496]`.")


class NetworkRule(Reach):
    """The same for some requests. What is left out matches everything; all that is written must match."""

    methods: list[str] = Field([], description="Only these methods, `[POST, PUT]`; GET includes HEAD.")
    operations: list[str] = Field([], description="Only these operations, by `operationId`.")
    plans: list[str] = Field([], description="Only callers of these plans.")
    accounts: list[str] = Field([], description="Only these accounts.")
    keys: list[str] = Field([], description="Only these keys, by id.")
    reason: str = Field("", description="Why the rule exists, for the next reader of the policy.")

    @model_validator(mode="after")
    def _whole(self) -> NetworkRule:
        if not (self.methods or self.operations or self.plans or self.accounts or self.keys):
            raise ValueError(
                "applies to every request; write it in `network` itself, or add `methods`, `operations`, `plans`, `accounts` or `keys`"
            )
        if not (self.deny or self.only or self.countries or self.asns):
            raise ValueError("refuses nothing; write `deny`, `only`, `countries` or `asns`")
        for method in self.methods:
            if method != method.upper() or not method.isalpha():
                raise ValueError(f"{method!r} is not a method; write it in capitals, for example POST")
        return self


class Network(ControlSection, Reach):
    """Networks and countries of callers. Allow takes precedence over deny."""

    rules: list[NetworkRule] = Field([], description="Rules for some requests, which apply in addition.")
    databases: list[str] = Field(
        [],
        description="MMDB files with countries or network numbers, relative to the policy file, read again when they change. The first file with the address counts; the geography of the package comes last.",
    )
    intelligence: list[FeedSection] = Field(
        [],
        description="Feeds of threat intelligence. Addresses in `allow` are exempt.",
        max_length=FEEDS_MAX,
    )
