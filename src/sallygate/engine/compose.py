"""Policy → Gate: everything a request needs, computed once. Reads no file and no clock."""

from __future__ import annotations

from collections.abc import Callable

from sallygate.controls.clients import ClientsControl
from sallygate.controls.contract import Contract
from sallygate.controls.contract.settings import ContractSettings
from sallygate.controls.flood import FloodControl
from sallygate.controls.identity import IdentityControl, OwnIssuer
from sallygate.controls.injection import InjectionControl, Prefilter
from sallygate.controls.limits import LimitsControl
from sallygate.controls.location import LocationControl
from sallygate.controls.network import NetworkControl
from sallygate.controls.restrictions import RestrictionsControl
from sallygate.controls.transport import TransportControl
from sallygate.engine.case import Guarded
from sallygate.engine.early import Door
from sallygate.engine.engine import Engine
from sallygate.engine.gate import OVERRIDES, Gate
from sallygate.engine.releasing import Controls
from sallygate.engine.rush import Rush
from sallygate.model.operation import Operation
from sallygate.parsing.addresses import prefix_set
from sallygate.parsing.http.head import SINGLETONS, HeadReader
from sallygate.parsing.identifiers import IdHasher
from sallygate.parsing.openapi.confined import confined_fields
from sallygate.parsing.openapi.document import base_path, public_view
from sallygate.parsing.openapi.routes import RouteTable
from sallygate.policy.auth import Auth
from sallygate.policy.fields import ControlSection
from sallygate.policy.flood import Flood
from sallygate.policy.identity import Identity
from sallygate.policy.load import Loaded
from sallygate.policy.schema import Clients, Injection, Limits, Policy, Transport
from sallygate.security.key_ring import KeyRing
from sallygate.state.state import State

DEFAULT_KEY_HEADER = "X-API-Key"
OwnOperations = Callable[[Auth], tuple[Operation, ...]]


def compose(
    loaded: Loaded,
    state: State,
    ring: KeyRing,
    id_key: bytes,
    now: float,
    own_operations: OwnOperations,
    prefilter: Prefilter | None = None,
) -> Gate:
    """The gate of one policy over `state`, whose counters go on where a former policy left them; or, when it raises,
    where they are: a gate in force looks at its own tables, and charges must go to those.

    `own_operations` gives the operations of `/auth` for its section of the policy."""
    tables, penalties = dict(state.tables), state.penalties
    try:
        gate = _compose(loaded, state, ring, id_key, now, own_operations, prefilter)
    except BaseException:
        state.tables, state.penalties = tables, penalties
        raise
    _shed_as(loaded.policy, state)
    return gate


def _compose(
    loaded: Loaded,
    state: State,
    ring: KeyRing,
    id_key: bytes,
    now: float,
    own_operations: OwnOperations,
    prefilter: Prefilter | None,
) -> Gate:
    policy, replaying = loaded.policy, loaded.door == "replay"
    identity = policy.identity
    key_header = identity.api_keys.header if identity else DEFAULT_KEY_HEADER
    # Replayed requests have no connection of ours, and what their policy does not name is not judged (see `replay`).
    transport = policy.transport or Transport()
    clients = policy.clients or (None if replaying and not policy.openapi else Clients())
    limits = policy.limits or (None if replaying and not policy.plans else Limits())
    # Under a policy that names neither the API nor its contract, a replay judges what it names.
    injection = policy.injection or (None if replaying and not (policy.openapi or policy.upstream) else Injection())
    controls = _controls(
        loaded, state, ring, now, transport, clients, identity, limits, key_header, injection, prefilter
    )
    routes = RouteTable(loaded.operations, _base_path(loaded)) if loaded.document is not None else None
    own_routes = RouteTable(own_operations(policy.auth), "") if policy.auth is not None else None
    hsts = ((b"strict-transport-security", f"max-age={int(transport.hsts)}".encode()),) if transport.hsts else ()
    dropped = set(controls.identity.credential_headers) if controls.identity else set()
    if routes is not None or (policy.network is not None and any(rule.methods for rule in policy.network.rules)):
        dropped |= OVERRIDES
    engine = Engine(controls, routes, IdHasher(id_key), own_routes)
    reader = HeadReader(
        prefix_set(tuple(transport.trusted_hops)),
        transport.forwarded,
        transport.ambiguous_paths or ("refuse" if routes is not None else "allow"),
        SINGLETONS | {key_header.lower()},
    )
    return Gate(
        engine,
        reader,
        Door(engine, reader, hsts),
        state,
        loaded.hash,
        frozenset(dropped),
        _declared_headers(loaded),
        hsts,
        frozenset(controls.limits.records) if controls.limits else frozenset(),
        _rush(loaded, state, controls, key_header),
    )


def _shed_as(policy: Policy, state: State) -> None:
    section, upstream = policy.flood.shedding, policy.upstream
    connections = upstream.connections * len(upstream.urls) if upstream is not None else 0
    state.shedder.configure(section.min, section.initial, section.max, section.queue, section.wait, connections)


def _rush(loaded: Loaded, state: State, controls: Controls, key_header: str) -> Rush | None:
    """None unless load is shed in earnest."""
    shedding = controls.how.get("shedding")
    if controls.flood is None or shedding is None or shedding.mode != "enforce":
        return None
    own = [loaded.policy.auth.prefix, loaded.policy.auth.metadata_path] if loaded.policy.auth is not None else []
    if controls.clients is not None and controls.clients.specification:
        own.append(controls.clients.specification)
    return Rush(controls.flood, state, key_header.lower().encode(), tuple(path.encode() for path in own))


def _controls(
    loaded: Loaded,
    state: State,
    ring: KeyRing,
    now: float,
    transport: Transport,
    clients: Clients | None,
    identity: Identity | None,
    limits: Limits | None,
    key_header: str,
    injection: Injection | None,
    prefilter: Prefilter | None,
) -> Controls:
    policy = loaded.policy
    # Recorded requests had no API of ours to load; what was found then stands.
    flood = None if loaded.door == "replay" and "flood" not in policy.model_fields_set else policy.flood
    sections: dict[str, ControlSection | None] = {
        "transport": None if loaded.door == "replay" else transport,
        "network": policy.network,
        "restrictions": policy.restrictions,
        "clients": clients,
        "identity": identity,
        "location": policy.location,
        "limits": limits,
        "flood": policy.flood,
        "shedding": policy.flood.shedding,
        "contract": policy.contract if loaded.document is not None else None,
        "injection": injection,
    }
    how = {
        name: Guarded(section.mode, section.on_error == "allow")
        for name, section in sections.items()
        if section and section.mode != "off"
    }
    # What a contract that is enforced confines needs no second look.
    enforced = "contract" in how and how["contract"].mode == "enforce" and not how["contract"].fail_open
    confined = confined_fields(loaded.operations, loaded.document) if enforced else {}
    who = (
        IdentityControl(identity, loaded.plans, ring, state, policy.accounts, now, own_issuer(policy))
        if identity and "identity" in how
        else None
    )
    return Controls(
        TransportControl(transport, key_header) if "transport" in how else None,
        NetworkControl(policy.network, loaded.lists, state, now) if policy.network and "network" in how else None,
        RestrictionsControl(policy.restrictions, state, _ask_at(loaded)) if "restrictions" in how else None,
        ClientsControl(clients, _public(loaded), key_header, loaded.hash) if clients and "clients" in how else None,
        who,
        _location(loaded, state) if "location" in how else None,
        LimitsControl(limits, loaded.plans, policy.operations, state, now) if limits and "limits" in how else None,
        _flood(loaded, flood, state, who, how, now) if flood and ("flood" in how or "shedding" in how) else None,
        Contract(loaded.document, loaded.operations, contract_settings(policy))
        if loaded.document is not None and "contract" in how
        else None,
        InjectionControl(injection, prefilter, confined, _credentials(who, how))
        if injection and "injection" in how
        else None,
        how,
    )


def _flood(
    loaded: Loaded, section: Flood, state: State, identity: IdentityControl | None, how: dict[str, Guarded], now: float
) -> FloodControl:
    judged = frozenset(place.removeprefix("header:") for place in _credentials(identity, how))
    long_polls = frozenset(name for name, part in loaded.policy.operations.items() if part.long_poll)
    auth = loaded.policy.auth
    sign_in = frozenset(f"{auth.prefix}/{name}".encode() for name in ("token", "codes")) if auth else frozenset()
    return FloodControl(section, loaded.plans, state, judged, long_polls, sign_in, now)


def _credentials(identity: IdentityControl | None, how: dict[str, Guarded]) -> frozenset[str]:
    """Where the caller's credential stands, once identity has refused all that is none."""
    if identity is None or how["identity"].mode != "enforce" or how["identity"].fail_open:
        return frozenset()
    return frozenset(f"header:{name.decode()}" for name in identity.credential_headers)


def _location(loaded: Loaded, state: State) -> LocationControl | None:
    """None where no plan asks about places."""
    plans = {name: plan.new_location for name, plan in loaded.plans.items()}
    if all(does == "off" for does in plans.values()):
        return None
    return LocationControl(plans, state, _ask_at(loaded))


def _ask_at(loaded: Loaded) -> str:
    """Where a place is admitted by a code, if anywhere."""
    auth = loaded.policy.auth
    return f"{auth.prefix}/locations" if auth is not None and auth.delivery else ""


def own_issuer(policy: Policy) -> OwnIssuer | None:
    section = policy.auth
    if section is None:
        return None
    return OwnIssuer(section.issuer, (section.audience or section.issuer,), section.tokens.access)


def _declared_headers(loaded: Loaded) -> frozenset[bytes]:
    parameters = (parameter for operation in loaded.operations for parameter in operation.parameters)
    names = (parameter.name.lower() for parameter in parameters if parameter.place == "header")
    return frozenset(name.encode("latin-1", "replace") for name in names if "_" not in name)


def _base_path(loaded: Loaded) -> str:
    own = loaded.policy.contract.base_path
    return base_path(loaded.document or {}) if own is None else own.rstrip("/")


def _public(loaded: Loaded) -> dict[str, object] | None:
    """What unknown clients may read: the document's own servers are replaced by the gate itself."""
    if loaded.document is None:
        return None
    return {**public_view(loaded.document), "servers": [{"url": _base_path(loaded) or "/"}]}


def contract_settings(policy: Policy) -> ContractSettings:
    section = policy.contract
    return ContractSettings(
        unknown_query=section.unknown_query,
        unknown_fields=section.unknown_fields,
        undeclared_content=section.undeclared_content,
        read_only=section.read_only,
        body_bytes_max=section.body,
        json_depth_max=section.json_depth,
        bytes_max_by_operation={name: part.body for name, part in policy.operations.items() if part.body},
        upload_bytes_max=section.upload,
    )
