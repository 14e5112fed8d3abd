"""Policy section `identity`: API keys, and tokens of other issuers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sallygate.policy.accounts import BasicSection
from sallygate.policy.fields import ControlSection, RateText, Seconds, Section
from sallygate.policy.units import read_rate

Algorithm = Literal[
    "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"
]  # fmt: skip
ABSENT = "absent"
LEEWAY_S_MAX = 300.0
"""Largest clock difference that a policy may allow, in seconds. A larger difference is a fault of the clock: correct the clock."""


class ApiKeys(Section):
    """Where the gate looks for an API key in a request."""

    header: str = Field("X-API-Key", description="The header that carries the key.", pattern=r"^[A-Za-z0-9-]+$")
    bearer: bool = Field(False, description="Also accept `Authorization: Bearer <key>`.")
    basic: bool = Field(False, description="Also accept `Authorization: Basic`, the key as user name or password.")


class TokenClaims(Section):
    """Where a token says what the gate wants to know: a claim's name, or a JSON pointer into the claims, `/realm_access/roles`."""

    account: str = Field("sub", description="Whose limits count.", min_length=1)
    plan: str | None = Field(None, description="The plan, as a text or a list; `plans` says which is which.")
    scopes: str | None = Field(
        "scope",
        description="The scopes, as a text with spaces or a list. Without the claim a token has none; `null` gives all of the plan.",
    )


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Issuer(Section):
    """Somebody whose tokens are believed, sent as `Authorization: Bearer`."""

    issuer: str = Field(
        description="The `iss` of its tokens, character for character.",
        min_length=1,
        max_length=512,
        pattern=r"^[!-~]+$",
    )
    name: str | None = Field(
        None, description="What it is called here; its host when left out.", pattern=r"^[A-Za-z0-9._-]{1,64}$"
    )
    jwks: str | None = Field(None, description="Its keys: an https URL, or a file relative to this one.")
    discovery: bool = Field(
        False,
        description="Find the keys by OpenID Connect Discovery or RFC 8414 at the issuer's URL, instead of `jwks`.",
    )
    ca: str | None = Field(
        None, description="A file with the authority its https is proved by; the system's when left out."
    )
    audience: Annotated[list[str], BeforeValidator(_listed)] = Field(
        description="What `aud` must name: this API, as the issuer knows it.", min_length=1, max_length=20
    )
    audience_claim: str = Field(
        "aud",
        description="The claim that `audience` is looked for in: `client_id` for access tokens of Amazon Cognito, which have no `aud`.",
        pattern=r"^[A-Za-z0-9_:./-]{1,128}$",
    )
    bound: Literal["refuse", "accept"] = Field(
        "refuse",
        description="Tokens bound to a key of their holder (`cnf`; RFC 8705, RFC 9449), whose proof is not checked here: `accept` takes them as plain bearer tokens.",
    )
    algorithms: list[Algorithm] = Field(
        ["ES256", "EdDSA", "RS256"],
        description="How its tokens may be signed. What is not here is refused before a key is looked at.",
        min_length=1,
    )
    types: list[str] = Field(
        ["at+jwt", "jwt", ABSENT],
        description="The `typ` its tokens may have. Write `[at+jwt]` for an issuer that follows RFC 9068: no other kind of token passes then.",
        min_length=1,
        max_length=10,
    )
    leeway: Annotated[Seconds, Field(ge=0, le=LEEWAY_S_MAX)] = Field(
        30.0, description="How far its clock may be from ours, at most 5m."
    )
    lifetime: Annotated[Seconds, Field(ge=60)] = Field(
        86400.0, description="A token that is valid for longer is refused."
    )
    keep: Annotated[Seconds, Field(ge=60)] = Field(
        604800.0, description="For how long fetched keys count while the issuer cannot be asked."
    )
    claims: TokenClaims = Field(TokenClaims(), description="What its claims mean.")
    plan: str | None = Field(
        None, description="The plan of its callers; with `claims.plan`, of those whose token does not say."
    )
    plans: dict[str, str] = Field(
        {},
        description="Value of the claim → plan; the first one listed that a token has. When left out the claim names the plan itself.",
    )
    prefix: str | None = Field(
        None,
        description="Put before its account names, `partner:`, so that they are nobody else's. Of several issuers each must say.",
        pattern=r"^[!-~]{0,64}$",
    )

    @field_validator("algorithms", mode="before")
    @classmethod
    def _asymmetric(cls, names: object) -> object:
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name.lower() == "none":
                raise ValueError("`none` is no signature: anybody could make such a token; write for example [ES256]")
            if isinstance(name, str) and name.upper().startswith("HS"):
                raise ValueError(
                    f"`{name}` is made with a shared secret: every service that can verify such a token can forge one; write for example [ES256]"
                )
        return names

    @field_validator("types")
    @classmethod
    def _lower(cls, types: list[str]) -> list[str]:
        return [name.lower().removeprefix("application/") for name in types]

    @model_validator(mode="after")
    def _one_source(self) -> Issuer:
        if (self.jwks is None) != self.discovery:
            raise ValueError("keys come from `jwks` or by `discovery: true`; name one of them")
        if self.plan is None and self.claims.plan is None:
            raise ValueError(
                "nothing says its callers' plan; write for example `plan: free`, or `claims: {plan: plan}`"
            )
        if self.plans and self.claims.plan is None:
            raise ValueError("`plans` needs the claim they stand in; write for example `claims: {plan: groups}`")
        return self

    @property
    def called(self) -> str:
        """Its name."""
        host = self.issuer.partition("://")[2].partition("/")[0] or self.issuer
        return self.name or "".join(char if char.isalnum() or char in "._-" else "_" for char in host)[:64]


class Identity(ControlSection):
    """Who is calling."""

    api_keys: ApiKeys = Field(
        default_factory=lambda: ApiKeys(),
        description="How keys are sent. Never in the query, where logs keep them.",
    )
    jwt: list[Issuer] = Field([], description="Issuers whose tokens are believed.", max_length=50)
    forged: RateText = Field(
        default_factory=lambda: read_rate("5/s burst 20"),
        description="Tokens with a wrong signature, or with a key that their issuer was asked for in vain, per client address. Beyond it, new tokens from there are refused unlooked at; those seen before go on counting.",
    )
    basic: BasicSection | None = Field(
        None, description="Accept `Authorization: Basic` with an account's name and password; `{}` is enough."
    )
    public: list[str] = Field(
        [], description="Operations that need no identity, besides those whose OpenAPI `security` is empty."
    )
