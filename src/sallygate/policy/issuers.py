"""Checks of the issuers of tokens beyond the types: source and strength of keys, existing plans, and no issuer that can
act for another. Reads key files; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sallygate.parsing.addresses import is_loopback
from sallygate.parsing.jose.jwk import KEY_SET_BYTES_MAX, JwkError, PublishedKeys, SecretInside, read_key_set
from sallygate.policy.identity import Identity, Issuer
from sallygate.security.regular_files import open_regular

Say = Callable[[tuple[str | int, ...], str, str, str], None]
"""Path, code, what is wrong, what to do."""


def is_url(source: str) -> bool:
    """Whether a source of keys is a URL rather than a file."""
    return "://" in source


def without_secret(url: str) -> str:
    """As it may be shown: a URL with a name and password in it is refused, and says so in logs."""
    return re.sub(r"(//)[^/@\s]*@", r"\1…@", url)


def unsafe_url(url: str) -> str:
    """Why keys must not be fetched from a URL; empty when they may."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not named or not url.isascii() or not url.isprintable():
        return "is not an https URL"
    if parts.username is not None or parts.fragment:
        return "has more than scheme, host, port, path and query"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "would fetch keys unencrypted: an attacker on the network path could replace them; write https://"
    return ""


def read_key_file(file: Path) -> PublishedKeys:
    """The keys of a file. Raises `JwkError`."""
    try:
        with open_regular(file) as stream:
            data = stream.read(KEY_SET_BYTES_MAX + 1)
    except OSError as error:
        raise JwkError(f"cannot be read: {error.strerror}") from None
    return read_key_set(data)


def check_issuers(say: Say, identity: Identity, plans: Mapping[str, object], beside: Callable[[str], Path]) -> None:
    """Report every problem of `identity.jwt` through `say`; `beside` resolves a path relative to the policy."""
    seen: dict[str, int] = {}
    names: dict[str, int] = {}
    for number, issuer in enumerate(identity.jwt):
        path = ("identity", "jwt", number)
        if issuer.issuer in seen:
            say((*path, "issuer"), "value", f"the issuer `{issuer.issuer}` occurs twice", "write each issuer once")
        elif issuer.called in names:
            say(path, "value", f"two issuers have the name `{issuer.called}`", "give each issuer another `name`")
        seen[issuer.issuer] = names[issuer.called] = number
        if len(identity.jwt) > 1 and issuer.prefix is None:
            hint = (
                f'write for example `prefix: "{issuer.called}:"`, or `prefix: ""` if the issuers share their accounts'
            )
            say(path, "unsafe", "one of several issuers could name the accounts of another", hint)
        _check_source(say, path, issuer, beside)
        _check_plans(say, path, issuer, plans)


def _check_source(say: Say, path: tuple[str | int, ...], issuer: Issuer, beside: Callable[[str], Path]) -> None:
    name, source = ("issuer", issuer.issuer) if issuer.discovery else ("jwks", issuer.jwks or "")
    if issuer.discovery or is_url(source):
        if why := unsafe_url(source):
            code = "unsafe" if "unencrypted" in why else "value"
            say((*path, name), code, f"`{without_secret(source)}` {why}", "write an https URL")
        elif issuer.discovery and urlsplit(source).query:
            say(
                (*path, name),
                "value",
                f"`{source}` has a query, which discovery does not support",
                "write `jwks` instead",
            )
    else:
        _check_file(say, (*path, name), beside(source))
    if issuer.ca is not None and not beside(issuer.ca).is_file():
        say((*path, "ca"), "file", f"there is no file `{issuer.ca}`", "write a path relative to the policy file")


def _check_file(say: Say, path: tuple[str | int, ...], file: Path) -> None:
    try:
        published = read_key_file(file)
    except SecretInside as error:
        say(path, "unsafe", f"{file}: a key of it {error}", "write a set of public keys only")
    except JwkError as error:
        say(
            path,
            "file",
            f"{file}: {error}",
            "write the path of a JSON Web Key Set, relative to the policy file, or an https URL",
        )
    else:
        for weak in published.weak:
            say(path, "unsafe", f"{file}: {weak}", "remove the key, or replace it by a stronger one")


def _check_plans(say: Say, path: tuple[str | int, ...], issuer: Issuer, plans: Mapping[str, object]) -> None:
    named = [((*path, "plan"), issuer.plan)] if issuer.plan is not None else []
    named += [((*path, "plans", value), plan) for value, plan in issuer.plans.items()]
    for where, plan in named:
        if plan not in plans:
            say(where, "reference", f"the policy has no plan `{plan}`", f"write one of: {', '.join(plans)}")
