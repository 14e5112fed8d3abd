"""OAuth 2.0 endpoints: token (RFC 6749), revocation (RFC 7009), introspection (RFC 7662), metadata (RFC 8414).

Threat: a refresh token that was stolen is used by two; the second use ends them both (RFC 9700, section 4.14.2).
Evidence: `auth.code`, `auth.client`, `auth.refresh` (`rule: reused` when a used one came back), `auth.scope`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from sallygate.auth.app import Answer, Endpoint, later, malformed, refused
from sallygate.auth.codes import Codes, wrong_code
from sallygate.auth.host import Host
from sallygate.auth.routes import INTROSPECT, KEYS, METADATA, REVOKE, TOKEN
from sallygate.auth.tokens import TokenText, new_grant_id
from sallygate.controls.identity import ACCOUNT, FORGED_TABLE, granted
from sallygate.model.access import AuthCall, Grant, Revocation
from sallygate.model.account import Account
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.http.credentials import parse_basic
from sallygate.policy.auth import Auth
from sallygate.ports import StoreError
from sallygate.security.signing import LASTS_S, SigningKeys
from sallygate.state.counters import RateTable

CODE_GRANT = "urn:sallygate:grant-type:access-code"
"""A grant type of our own (RFC 6749, section 4.5): `account` and `code`."""
KEPT_S = 300
"""For the key set and the metadata, in caches."""
ACTOR = "auth"
REVOKED_PER_S, REVOKED_BURST = 1.0, 60
"""Access tokens that one key or account may end one by one. Each is remembered for an hour; who wants to end all
of them revokes the key, or signs out."""


class OAuth:
    """Endpoints of OAuth 2.0, for one policy section `auth`."""

    def __init__(self, section: Auth, text: TokenText, codes: Codes | None, host: Host) -> None:
        self._section, self._text, self._codes, self._host = section, text, codes, host
        ended = RateTable("auth:revocations", REVOKED_PER_S, REVOKED_BURST)
        self._ended = host.state.table(ended, host.now())

    def endpoints(self) -> dict[str, Endpoint]:
        """Methods of this class by operation id."""
        return {TOKEN: self.token, REVOKE: self.revoke, INTROSPECT: self.introspect, METADATA: self.metadata,
                KEYS: self.keys}  # fmt: skip

    @property
    def _keys(self) -> SigningKeys:
        return self._host.signing

    # token -----------------------------------------------------------------------------------------------------------

    async def token(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Token endpoint (RFC 6749, section 3.2): issues tokens for an API key, a code or a refresh token. Raises
        `StoreError`."""
        try:
            match parameters.get("grant_type"):
                case "client_credentials":
                    return await self._for_key(call, parameters)
                case "refresh_token":
                    return await self._again(parameters)
                case kind if kind == CODE_GRANT and self._codes is not None:
                    return await self._for_code(call, self._codes, parameters)
                case _:
                    detail = "The grant type is not supported; the metadata lists the supported ones."
                    return refused("unsupported_grant_type", detail, Finding("auth.grant_type", detail, 400))
        except StoreError as error:
            self._host.failed("tokens", error)
            return later("Tokens cannot be made at present; try again later.", "auth.unavailable", 503, 5)

    async def _for_key(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Section 4.4, with an API key as the client's secret."""
        sent = key_sent(call, parameters)
        if isinstance(sent, Answer):
            return sent
        client, key = sent
        proven = await self._host.prove_key(key)
        if isinstance(proven, Finding) and proven.status == 503:
            return later("Keys cannot be checked at present; try again later.", proven.code, 503, 5)
        if isinstance(proven, Finding) or client not in (proven.id.removeprefix("key:"), proven.id, ""):
            why = proven.rule or proven.code if isinstance(proven, Finding) else "another client's"
            return wrong_client(why, proven.evidence if isinstance(proven, Finding) else proven.id)
        return self._given(proven.id, proven.id.removeprefix("key:"), proven.scopes, parameters)

    async def _for_code(self, call: AuthCall, codes: Codes, parameters: Mapping[str, str]) -> Answer:
        name, code = parameters.get("account", ""), parameters.get("code", "")
        if not name or not code:
            return malformed("Say whose code: `account`, and the `code`.")
        if (failure := await codes.redeem(call, "access", name, "", code)) is not None:
            return failure
        account = await self._host.account(name)
        if account is None or account.locked_at is not None:
            return wrong_code(
                "locked" if account is not None else "unknown account", name if account is not None else ""
            )
        principal = self._host.principal_of(account)
        if isinstance(principal, Finding):
            return wrong_code("plan no longer offered", name)
        scopes = self._chosen(principal.scopes, parameters)
        if isinstance(scopes, Answer):
            return scopes
        now, grant_id = self._host.now(), new_grant_id()
        token = self._text.refresh(grant_id)
        asked = tuple(sorted(scopes)) if parameters.get("scope") else None
        grant = Grant(grant_id, name, asked, now, now + self._section.tokens.refresh, self._text.digest(token))
        act = self._host.act("grant.create", name, ACTOR, f"grant {grant_id}, by access code")
        await self._host.kept(lambda store: store.put_grant(grant, act))
        return self._given_account(account, grant_id, scopes, token)

    async def _again(self, parameters: Mapping[str, str]) -> Answer:
        """Section 6, each refresh token once."""
        text = parameters.get("refresh_token", "")
        read = self._text.read_refresh(text)
        if read is None:
            return wrong_refresh("malformed")
        grant_id, digest = read
        grant = await self._host.kept(lambda store: store.grant(grant_id))
        now = self._host.now()
        if grant is None or grant.revoked_at is not None or now >= grant.expires_at:
            return wrong_refresh("unknown" if grant is None else "revoked" if grant.revoked_at else "expired")
        if grant.digest != digest:
            return await self._reused(grant)
        account = await self._host.account(grant.account)
        if account is None or account.locked_at is not None:
            return wrong_refresh("locked" if account is not None else "unknown account", grant.account)
        principal = self._host.principal_of(account)
        if isinstance(principal, Finding):
            return wrong_refresh("plan no longer offered", grant.account)
        allowed = granted(principal.scopes, grant.scopes)
        scopes = self._chosen(allowed, parameters)
        if isinstance(scopes, Answer):
            return scopes
        following = self._text.refresh(grant_id)
        next_digest = self._text.digest(following)
        rotated = await self._host.kept(lambda store: store.rotate_grant(grant_id, digest, next_digest))
        if rotated is None:  # used meanwhile
            return await self._reused(grant)
        return self._given_account(account, grant_id, scopes, following)

    async def _reused(self, grant: Grant) -> Answer:
        """Made here, and not the one that counts: it has been used. Who of the two users is the thief is not known."""
        await self._end(grant, "a used refresh token came back")
        return wrong_refresh("reused", grant.account)

    def _chosen(self, allowed: frozenset[str], parameters: Mapping[str, str]) -> frozenset[str] | Answer:
        """The scopes asked for, of those there are; all when none are named."""
        named = frozenset(parameters.get("scope", "").split())
        if not named:
            return allowed
        chosen = granted(allowed, named)
        if chosen != named:
            detail = "The request asks for more scopes than the credential has."
            return refused("invalid_scope", detail, Finding("auth.scope", detail, 400, owasp="API5"))
        return chosen

    def _given(self, subject: str, client: str, allowed: frozenset[str], parameters: Mapping[str, str]) -> Answer:
        scopes = self._chosen(allowed, parameters)
        if isinstance(scopes, Answer):
            return scopes
        return self._answer(subject, client, scopes)

    def _given_account(self, account: Account, grant: str, scopes: frozenset[str], refresh: str) -> Answer:
        return self._answer(ACCOUNT + account.name, ACCOUNT + account.name, scopes, grant, refresh)

    def _answer(self, subject: str, client: str, scopes: frozenset[str], grant: str = "", refresh: str = "") -> Answer:
        life, now = self._section.tokens.access, self._host.now()
        issued = self._text.access(self._keys, subject, client, scopes, life, now, grant)
        body: dict[str, object] = {"access_token": issued.text, "token_type": "Bearer", "expires_in": int(life),
                                   "scope": " ".join(sorted(scopes))}  # fmt: skip
        if refresh:
            body["refresh_token"] = refresh
        return Answer(200, body, headers=((b"pragma", b"no-cache"),))

    # revocation and introspection ------------------------------------------------------------------------------------

    async def revoke(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Who has a token may end it. 200 for any text that is no token, too (RFC 7009, section 2.2)."""
        text = parameters.get("token", "")
        if not text:
            return malformed("Say which: `token`.")
        try:
            if (read := self._text.read_refresh(text)) is not None:
                grant_id = read[0]
                grant = await self._host.kept(lambda store: store.grant(grant_id))
                if grant is not None and grant.revoked_at is None:
                    await self._end(grant, "revoked by its holder")
            elif (failure := await self._revoke_access(call, text)) is not None:
                return failure
        except StoreError as error:
            self._host.failed("revocations", error)
            return later("Tokens cannot be revoked at present; try again later.", "auth.unavailable", 503, 5)
        return Answer(200, {})

    async def _revoke_access(self, call: AuthCall, text: str) -> Answer | None:
        """Anybody may ask, so forgeries are counted as the gate counts them, before they cost a verification."""
        now, subject = self._host.now(), call.head.client_network
        forged = self._host.state.tables.get(FORGED_TABLE)
        if forged is not None and not (room := forged.look(subject, now)).allowed:
            return later("This address has sent too many tokens that are not valid.", "identity.forged", 429,
                         room.reset_s, FORGED_TABLE)  # fmt: skip
        signed = self._text.signed(text, self._keys, now)
        if signed is None:
            if forged is not None:
                forged.take(subject, now, 1)
            return None
        claims = self._text.claims_of(signed, now)
        if claims is None or self._is_revoked(claims, now):
            return None
        holder = str(claims["client_id"])
        if not (room := self._ended.look(holder, now)).allowed:
            return later("Too many tokens were revoked; try again later.", "auth.revocations", 429, room.reset_s)
        self._ended.take(holder, now, 1)
        await self._end_token(claims)
        return None

    def _is_revoked(self, claims: Mapping[str, object], now: float) -> bool:
        """Once is enough: each revocation is a row, and an act on record for good."""
        return self._host.state.revocations.covers(self._section.issuer, [str(claims["jti"])], now, now)

    async def _end(self, grant: Grant, why: str) -> None:
        until = self._host.now() + LASTS_S
        revocation = Revocation(grant.id, until)
        act = self._host.act("grant.revoke", grant.account, ACTOR, f"grant {grant.id}: {why}")
        await self._host.kept(lambda store: store.revoke_grants([grant], [revocation], act))
        self._host.revoked([revocation])

    async def _end_token(self, claims: Mapping[str, object]) -> None:
        revocation = Revocation(str(claims["jti"]), self._host.now() + LASTS_S)
        act = self._host.act("token.revoke", str(claims["sub"]), ACTOR, "an access token, by its holder")
        await self._host.kept(lambda store: store.revoke_grants([], [revocation], act))
        self._host.revoked([revocation])

    async def introspect(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """For callers with the scope `auth:introspect`. What is no token that counts is only that: not active."""
        text, now = parameters.get("token", ""), self._host.now()
        inactive = Answer(200, {"active": False})
        try:
            if (read := self._text.read_refresh(text)) is not None:
                grant_id = read[0]
                grant = await self._host.kept(lambda store: store.grant(grant_id))
                counts = (
                    grant is not None
                    and grant.revoked_at is None
                    and now < grant.expires_at
                    and grant.digest == read[1]
                )
                if grant is None or not counts:
                    return inactive
                account = await self._host.account(grant.account)
                if account is None or account.locked_at is not None:
                    return inactive
                if isinstance(self._host.principal_of(account), Finding):  # its plan is gone
                    return inactive
                return Answer(200, {"active": True, "sub": ACCOUNT + grant.account, "iss": self._section.issuer,
                                    "token_type": "refresh_token", "exp": int(grant.expires_at)})  # fmt: skip
            claims = self._text.read_access(text, self._keys, now)
            if claims is None:
                return inactive
            proven = await self._host.prove_token(text)
            if isinstance(proven, Finding) and proven.status == 503:  # not known is not "no": it would be kept
                return later("Tokens cannot be checked at present; try again later.", proven.code, 503, 5)
            if not isinstance(proven, Principal):
                return inactive
        except StoreError as error:
            self._host.failed("introspection", error)
            return later("Tokens cannot be checked at present; try again later.", "auth.unavailable", 503, 5)
        return Answer(200, {"active": True, "token_type": "Bearer", **claims})

    # what anybody may read -------------------------------------------------------------------------------------------

    async def metadata(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Authorisation server metadata (RFC 8414): endpoints, grant types and client authentication."""
        section = self._section
        base = section.issuer.removesuffix(urlsplit(section.issuer).path) + section.prefix
        grants = ["client_credentials", "refresh_token", *([CODE_GRANT] if self._codes is not None else [])]
        document: dict[str, object] = {
            "issuer": section.issuer,
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks.json",
            "revocation_endpoint": f"{base}/revoke",
            "introspection_endpoint": f"{base}/introspect",
            "grant_types_supported": grants,
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        }
        if self._codes is not None:
            document["access_code_endpoint"] = f"{base}/codes"
        return Answer(200, document, headers=_kept())

    async def keys(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Public keys that verify own access tokens, as a JSON Web Key Set (RFC 7517, section 5)."""
        return Answer(200, self._keys.jwks(self._host.now()), headers=_kept())


def key_sent(call: AuthCall, parameters: Mapping[str, str]) -> tuple[str, str] | Answer:
    """(client id or empty, API key): in `Authorization: Basic` or in the form (RFC 6749, section 2.3.1)."""
    authorization = call.head.fields.get("authorization")
    posted = parameters.get("client_secret")
    if authorization is not None and posted is not None:
        return malformed("The client's secret is sent twice.")
    if authorization is None:
        return (parameters.get("client_id", ""), posted) if posted else wrong_client("none sent")
    return parse_basic(authorization) or wrong_client("malformed, or of another scheme")


def wrong_client(why: str, evidence: str = "") -> Answer:
    """Answer 401 `invalid_client`; `why` goes into the event only."""
    finding = Finding("auth.client", "The client is not valid.", 401, rule=why, evidence=evidence, owasp="API2",
                      attack="T1110")  # fmt: skip
    return refused("invalid_client", finding.detail, finding, 401)


def wrong_refresh(why: str, account: str = "") -> Answer:
    """Answer 400 `invalid_grant` to a refresh token that does not count; `why` goes into the event only."""
    finding = Finding("auth.refresh", "The refresh token is not valid.", 400, rule=why, owasp="API2",
                      evidence=f"account {account}" if account else "", attack="T1550")  # fmt: skip
    return refused("invalid_grant", finding.detail, finding)


def _kept() -> tuple[tuple[bytes, bytes], ...]:
    return ((b"cache-control", b"public, max-age=%d" % KEPT_S),)
