"""Loader of a policy: the file, its types, and what it refers to. All problems are collected before any is reported."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import ValidationError

from sallygate.model.event import Shell
from sallygate.model.operation import Operation
from sallygate.parsing.addresses import Prefixes, is_loopback
from sallygate.parsing.openapi.document import OpenAPIError, read_document, read_operations
from sallygate.policy.errors import PolicyError, Problem
from sallygate.policy.issuers import check_issuers, without_secret
from sallygate.policy.list_files import check_network, read_lists
from sallygate.policy.messages import say_problems
from sallygate.policy.profile import Profile, read_profile
from sallygate.policy.reading import POLICY_BYTES_MAX, Path_, Reader, read_bounded, read_mapping
from sallygate.policy.references import check_references
from sallygate.policy.schema import Plan, Policy

CONTRACT_BYTES_MAX = 64 << 20
"""The largest public OpenAPI documents are about 12 MB."""

CREDENTIAL = "credential:"

_REQUIRED = {
    "gateway": {
        "upstream": "write where the API is, for example `upstream: http://127.0.0.1:9000`",
        "openapi": "write the contract's file, or `openapi: none` to run without",
        "identity": "write for example `identity: {api_keys: {header: X-API-Key}}`, or `identity: none` to run without",
    },
    "in_process": {
        "openapi": "write the contract's file, or `openapi: none` to run without",
        "identity": "write for example `identity: {api_keys: {header: X-API-Key}}`, or `identity: none` to run without",
    },
    "replay": {},
}


class Loaded(Struct, frozen=True):
    """A policy that applies."""

    policy: Policy
    file: Path
    hash: str
    """First 12 hexadecimal digits of the SHA-256 over the policy and its contract."""
    document: dict[str, object] | None
    operations: tuple[Operation, ...]
    plans: dict[str, Plan]
    shell: Shell
    lists: dict[str, Prefixes] = {}
    """The address lists it names; a list that changes is put in its place."""
    profile: Profile | None = None
    """What is normal for fields; None where `injection.profiles` asks for none, or there is none to observe by."""
    notes: tuple[str, ...] = ()
    """Notes on a contract that is accepted."""

    @property
    def state_dir(self) -> Path:
        """Absolute path of the state directory."""
        return (self.file.parent / self.policy.state).resolve()

    def beside(self, name: str) -> Path:
        """A file the policy names."""
        return beside(self.file, name)

    @property
    def contract_file(self) -> Path | None:
        """Path of the OpenAPI document; None where the policy says `none`."""
        return None if self.policy.openapi is None else self.beside(self.policy.openapi)

    @property
    def watched_files(self) -> list[Path]:
        """The policy's file, its contract, overlay and profile: a change of one is another policy."""
        named = [self.policy.contract.overlay, _profile_named(self.policy)]
        return [self.file, *filter(None, (self.contract_file, *(self.beside(name) for name in named if name)))]


def beside(policy: Path, name: str) -> Path:
    """A file the policy names, relative to it; or, as `credential:NAME`, one that systemd hands to the service."""
    if name.startswith(CREDENTIAL):
        return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials")) / name.removeprefix(CREDENTIAL)
    return policy.parent / name


def load_policy(file: Path, shell: Shell = "gateway") -> Loaded:
    """Read and check `file` and the contract it names. Raises `PolicyError` with every problem."""
    reader = Reader(file)
    data = read_bounded(file, POLICY_BYTES_MAX, "policy")
    policy = _read_types(reader, data)
    if policy is None:
        raise PolicyError(reader.problems)
    for name, hint in _REQUIRED[shell].items():
        if name not in policy.model_fields_set:
            reader.say((), "missing", f"`{name}` is missing", hint)
    notes: list[str] = []
    document, operations, contract_data = _read_contract(reader, policy, notes)
    plans = dict(policy.plans) or {"default": Plan(scopes=["*"])}
    _check_upstream(reader, policy)
    _check_telemetry(reader, policy)
    _check_connections(reader, policy)
    _check_overlay(reader, policy)
    check_references(reader.say, policy, operations, document)
    _check_auth(reader, policy, operations)
    if policy.identity is not None:
        check_issuers(reader.say, policy.identity, plans, lambda name: beside(file, name))
    check_network(
        reader.say, policy.network, set(plans), {one.id for one in operations}, lambda name: beside(file, name)
    )
    profile, profile_data = _read_profile(reader, policy)
    lists = read_lists(reader.say, reader.problems, policy.network, lambda name: beside(file, name))
    if policy.workers != 1:
        reader.say(("workers",), "unsafe", "several workers would count limits separately",
                   "write `workers: 1`; several workers need shared counters, which this version lacks")  # fmt: skip
    if reader.problems:
        raise PolicyError(reader.problems)
    digest = hashlib.sha256(data + b"\0" + contract_data + profile_data).hexdigest()[:12]
    return Loaded(policy, file, digest, document, operations, plans, shell, lists, profile, tuple(notes))


def _read_types(reader: Reader, data: bytes) -> Policy | None:
    value = read_mapping(reader, data)
    if value is None:
        return None
    for name in ("identity", "openapi"):
        if name in value and value[name] is None:
            reader.say((name,), "value", f"`{name}` has no value", f"write `{name}: none` to run without")
            del value[name]
        elif value.get(name) == "none":
            value[name] = None
    try:
        return Policy.model_validate(value)
    except ValidationError as error:
        say_problems(reader, value, error.errors(include_url=False))
        return None


def _profile_named(policy: Policy) -> str | None:
    section = policy.injection
    return section.profile if section is not None and section.profiles != "off" else None


def _read_profile(reader: Reader, policy: Policy) -> tuple[Profile | None, bytes]:
    named = _profile_named(policy)
    if named is None:
        return None, b""
    file = beside(reader.file, named)
    if not file.exists():
        if policy.injection is not None and policy.injection.profiles == "apply":
            reader.say(("injection", "profile"), "file", f"there is no profile `{named}`",
                       "write `profiles: observe` and run `sallygate profile --apply`")  # fmt: skip
        return None, b""
    try:
        return read_profile(file)
    except PolicyError as error:
        reader.problems.extend(error.problems)
        return None, b""


class _ContractFiles:
    """Files that a contract refers to, in its directory and below it."""

    def __init__(self, contract: Path) -> None:
        self._directory = contract.resolve().parent
        self._left = CONTRACT_BYTES_MAX
        self.data = b""
        """All that was read, in order: a change of any of them is another policy."""

    def read(self, path: str) -> bytes:
        """Raises `OSError`, and `ValueError` where a link leads out of the directory or all are too large together."""
        file = (self._directory / path).resolve()
        if not file.is_relative_to(self._directory):
            raise ValueError("the file is a link out of the document's directory")
        try:
            data = read_bounded(file, self._left, "file")
        except PolicyError as error:
            raise ValueError(error.problems[0].message) from None
        self._left -= len(data)
        self.data += b"\0" + data
        return data


def _read_contract(
    reader: Reader, policy: Policy, notes: list[str]
) -> tuple[dict[str, object] | None, tuple[Operation, ...], bytes]:
    if policy.openapi is None:
        return None, (), b""
    file = reader.file.parent / policy.openapi
    try:
        beside_it = _ContractFiles(file)
        data = read_bounded(file, CONTRACT_BYTES_MAX, "contract")
        overlay, changes = None, b""
        if (named := policy.contract.overlay) is not None:
            changes = read_bounded(reader.file.parent / named, CONTRACT_BYTES_MAX, "overlay")
            overlay = (changes, named)
        document = read_document(data, str(file), beside_it.read, overlay)
        return document, read_operations(document, notes), data + beside_it.data + b"\0" + changes
    except PolicyError as error:
        reader.problems.extend(error.problems)
    except OpenAPIError as error:
        reader.problems.extend(
            Problem(str(file), line, "policy.contract", message) for line, message in contract_problems(error)
        )
    return None, (), b""


def contract_problems(error: OpenAPIError) -> list[tuple[int, str]]:
    """(line or 0, message with its JSON pointer) for each problem."""
    found = []
    for place, message in error.problems:
        found.append((place, message) if isinstance(place, int) else (0, f"{place}: {message}" if place else message))
    return found


def _check_upstream(reader: Reader, policy: Policy) -> None:
    if policy.upstream is None:
        return
    for index, url in enumerate(policy.upstream.urls):
        path: Path_ = ("upstream", "urls", index)
        shown = without_secret(url)
        try:
            parts = urlsplit(url)
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            parts, port_ok = urlsplit(""), False
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
            reader.say(
                path,
                "value",
                f"`{shown}` is not an http or https URL",
                "write for example http://127.0.0.1:9000",
            )
        elif parts.username or parts.query or parts.fragment:
            reader.say(path, "value", f"`{shown}` has more than scheme, host, port and path", "remove the rest")
        elif parts.scheme == "http" and policy.upstream.plain_http == "refuse" and not is_loopback(parts.hostname):
            reader.say(path, "unsafe", f"`{shown}` would send requests unencrypted over a network",
                       "use https, or write `upstream: {urls: […], plain_http: allow}`")  # fmt: skip


def _check_telemetry(reader: Reader, policy: Policy) -> None:
    section = policy.telemetry
    if section is None:
        return
    path, shown = ("telemetry", "otlp"), without_secret(section.otlp)
    try:
        parts = urlsplit(section.otlp)
        plain = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        named = bool(parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        parts, plain, named = urlsplit(""), False, False
    if not named:
        reader.say(path, "value", f"`{shown}` is not a URL", "write for example http://127.0.0.1:4318")
    elif parts.username or parts.query or parts.fragment:
        reader.say(path, "value", f"`{shown}` has more than scheme, host, port and path", "remove the rest")
    elif plain and section.plain_http == "refuse":
        reader.say(path, "unsafe", f"`{shown}` would send metrics unencrypted over a network",
                   "use https, or write `plain_http: allow` beside it")  # fmt: skip


def _check_connections(reader: Reader, policy: Policy) -> None:
    """Caps on connections are kept where connections are taken, and nothing of ours does that yet."""
    for name in sorted(policy.flood.connections.model_fields_set):
        if getattr(policy.flood.connections, name) is not None:
            reader.say(("flood", "connections", name), "unsupported", f"`flood.connections.{name}` would not be enforced",
                       "limits on connections need the edge, which this version lacks; remove the field, and set "
                       "the limit in the proxy or load balancer in front")  # fmt: skip


def _check_auth(reader: Reader, policy: Policy, operations: tuple[Operation, ...]) -> None:
    section = policy.auth
    if section is None:
        return
    identity = policy.identity
    if "identity" in policy.model_fields_set and (identity is None or identity.mode != "enforce"):
        reader.say(
            ("auth",), "unsafe", "`auth` issues tokens that no control verifies", "enforce `identity`, or remove `auth`"
        )
    elif identity is not None and any(issuer.issuer == section.issuer for issuer in identity.jwt):
        reader.say(
            ("auth", "issuer"),
            "value",
            "is also in `identity.jwt`",
            "remove it from `identity.jwt`: `auth` is an issuer itself",
        )
    own = policy.contract.base_path
    for operation, base in ((one, base) for one in operations for base in (one.base_paths if own is None else (own,))):
        path = f"{base.rstrip('/')}{operation.path}"
        if path == section.metadata_path:
            reader.say(("auth", "issuer"), "value", f"the contract has `{operation.path}`, which is the path of the issuer's metadata",
                       "write another issuer, or remove the path from the contract")  # fmt: skip
        elif path == section.prefix or path.startswith(section.prefix + "/"):
            reader.say(("auth", "prefix"), "value", f"the contract has `{operation.path}` under `{section.prefix}`",
                       "write another prefix, for example /sallygate")  # fmt: skip
            return


def _check_overlay(reader: Reader, policy: Policy) -> None:
    if policy.contract.overlay is not None and policy.openapi is None:
        reader.say(("contract", "overlay"), "reference", "an overlay needs a contract to change",
                   "write the contract's file in `openapi`")  # fmt: skip
