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
    """Claims of account, plan and scopes: a claim's name, or a JSON pointer into the claims, `/realm_access/roles`."""

    account: str = Field("sub", description="Account whose limits count.", min_length=1)
    plan: str | None = Field(None, description="The plan, as a text or a list; `plans` maps values to plans.")
    scopes: str | None = Field(
        "scope",
        description="The scopes, as a text with spaces or a list. A token without the claim has none; `null` gives all scopes of the plan.",
    )


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Issuer(Section):
    """Issuer of accepted tokens, which clients send as `Authorization: Bearer`."""

    issuer: str = Field(
        description="The `iss` of its tokens, character for character.",
        min_length=1,
        max_length=512,
        pattern=r"^[!-~]+$",
    )
    name: str | None = Field(
        None,
        description="Name of the issuer in messages and metrics; its host by default.",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    jwks: str | None = Field(None, description="Keys of the issuer: an https URL, or a file relative to this one.")
    discovery: bool = Field(
        False,
        description="Find the keys by OpenID Connect Discovery or RFC 8414 at the issuer's URL, instead of `jwks`.",
    )
    ca: str | None = Field(None, description="File of certificate authorities for its https; the system's by default.")
    audience: Annotated[list[str], BeforeValidator(_listed)] = Field(
        description="Required value of `aud`: the issuer's name for this API.", min_length=1, max_length=20
    )
    audience_claim: str = Field(
        "aud",
        description="Claim that must contain `audience`: `client_id` for access tokens of Amazon Cognito, which have no `aud`.",
        pattern=r"^[A-Za-z0-9_:./-]{1,128}$",
    )
    bound: Literal["refuse", "accept"] = Field(
        "refuse",
        description="Treatment of tokens bound to a key of their holder (`cnf`; RFC 8705, RFC 9449), whose proof the gate does not check: `accept` takes them as plain bearer tokens.",
    )
    algorithms: list[Algorithm] = Field(
        ["ES256", "EdDSA", "RS256"],
        description="Accepted signature algorithms. A token with another one is refused before a key is used.",
        min_length=1,
    )
    types: list[str] = Field(
        ["at+jwt", "jwt", ABSENT],
        description="The `typ` its tokens may have. Write `[at+jwt]` for an issuer that follows RFC 9068: other kinds of token are then refused.",
        min_length=1,
        max_length=10,
    )
    leeway: Annotated[Seconds, Field(ge=0, le=LEEWAY_S_MAX)] = Field(
        30.0, description="Largest difference between the issuer's clock and the gate's, at most 5m."
    )
    lifetime: Annotated[Seconds, Field(ge=60)] = Field(86400.0, description="A token with a longer life is refused.")
    keep: Annotated[Seconds, Field(ge=60)] = Field(
        604800.0, description="How long fetched keys count while the issuer is down."
    )
    claims: TokenClaims = Field(TokenClaims(), description="Meaning of the claims.")
    plan: str | None = Field(
        None, description="Plan of the callers; with `claims.plan`, of callers whose token lacks the claim."
    )
    plans: dict[str, str] = Field(
        {},
        description="Value of the claim → plan; the first listed value that a token has counts. By default the claim names the plan itself.",
    )
    prefix: str | None = Field(
        None,
        description="Prefix of its account names, `partner:`, which separates them from other issuers' accounts. Needed with several issuers.",
        pattern=r"^[!-~]{0,64}$",
    )

    @field_validator("algorithms", mode="before")
    @classmethod
    def _asymmetric(cls, names: object) -> object:
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name.lower() == "none":
                raise ValueError(
                    "`none` is no signature: any client could forge such a token; write for example [ES256]"
                )
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
            raise ValueError("needs a source of keys; write one of `jwks` and `discovery: true`")
        if self.plan is None and self.claims.plan is None:
            raise ValueError("gives its callers no plan; write for example `plan: free`, or `claims: {plan: plan}`")
        if self.plans and self.claims.plan is None:
            raise ValueError("`plans` needs the name of the claim; write for example `claims: {plan: groups}`")
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
        description="How clients send keys. Never in the query, which logs store.",
    )
    jwt: list[Issuer] = Field([], description="Issuers of accepted tokens.", max_length=50)
    forged: RateText = Field(
        default_factory=lambda: read_rate("5/s burst 20"),
        description="Tokens with a wrong signature or an unknown key, per client address. Above this rate new tokens from the address are refused without verification; tokens that were verified before still count.",
    )
    basic: BasicSection | None = Field(
        None, description="Accept `Authorization: Basic` with an account's name and password; `{}` is enough."
    )
    public: list[str] = Field(
        [], description="Operations that need no identity, besides those whose OpenAPI `security` is empty."
    )
