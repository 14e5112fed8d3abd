"""Composition: policy → gate. Everything a request needs, computed once; reads no file and no clock."""

from __future__ import annotations

from collections.abc import Callable

from sallygate.controls.clients import ClientsControl, denied_operations
from sallygate.controls.injection import Prefilter
from sallygate.controls.limits import LimitsControl
from sallygate.engine.controls_in_force import Controls, Guarded
from sallygate.engine.early import EarlyRejection
from sallygate.engine.engine import Engine
from sallygate.engine.gate import OVERRIDES, PLAIN, Gate
from sallygate.engine.order import CONTROLS, SECTIONS
from sallygate.events.record import Source
from sallygate.model.finding import Mode
from sallygate.model.operation import Operation
from sallygate.parsing.addresses import prefix_set
from sallygate.parsing.http.head import SINGLETONS, HeadReader
from sallygate.parsing.http.hop_fields import CLIENT_CLAIMS
from sallygate.parsing.identifiers import IdHasher
from sallygate.parsing.openapi.routes import RouteTable
from sallygate.policy.auth import Auth
from sallygate.policy.fields import ControlSection
from sallygate.policy.load import Loaded
from sallygate.policy.request_limits import body_bytes_max, head_limits
from sallygate.policy.schema import Policy, Transport
from sallygate.security.key_ring import KeyRing
from sallygate.state.parts import Parts, sections_in_force
from sallygate.state.state import State

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
    parts = Parts(loaded, state, ring, now, prefilter, sections_in_force(loaded, SECTIONS))
    try:
        gate = _compose(parts, id_key, own_operations)
    except BaseException:
        state.tables, state.penalties = tables, penalties
        raise
    _shed_as(loaded.policy, state)
    state.memory.bytes_max = loaded.policy.flood.memory
    return gate


def build_controls(parts: Parts) -> Controls:
    """The controls of a policy's sections in force, by the table of controls."""
    built = [control.build(parts) for control in CONTROLS if control.section in parts.sections]
    how = {name: guarded(section) for name, section in parts.sections.items()}
    return Controls([control for control in built if control is not None], how, _modes(parts.loaded))


def _modes(loaded: Loaded) -> dict[str, dict[str, Mode]]:
    """Modes that the policy gives sections for single operations."""
    own = {name: part.contract.mode for name, part in loaded.policy.operations.items() if part.contract is not None}
    return {"contract": {name: mode for name, mode in own.items() if mode is not None}}


def guarded(section: ControlSection) -> Guarded:
    """How a section wants its controls run."""
    return Guarded(section.mode, section.on_error == "allow")


def _compose(parts: Parts, id_key: bytes, own_operations: OwnOperations) -> Gate:
    loaded, policy = parts.loaded, parts.loaded.policy
    transport = policy.transport or Transport()
    controls = build_controls(parts)
    base_path = policy.contract.base_path
    hidden = denied_operations(loaded) if controls.enforces(ClientsControl) else ()
    routes = RouteTable(loaded.operations, base_path, hidden) if loaded.document is not None else None
    own_routes = RouteTable(own_operations(policy.auth), "") if policy.auth is not None else None
    hsts = ((b"strict-transport-security", f"max-age={int(transport.hsts)}".encode()),) if transport.hsts else ()
    declared = _declared_headers(loaded)
    dropped = set(parts.credential_headers) | (CLIENT_CLAIMS - declared)
    if routes is not None or (policy.network is not None and any(rule.methods for rule in policy.network.rules)):
        dropped |= OVERRIDES
    engine = Engine(controls, routes, IdHasher(id_key), own_routes, body_bytes_max(policy))
    reader = HeadReader(
        prefix_set(tuple(transport.trusted_hops)),
        transport.forwarded,
        transport.ambiguous_paths or ("refuse" if routes is not None else "allow"),
        SINGLETONS | {parts.key_header.lower()},
        head_limits(policy),
    )
    limits = controls.get(LimitsControl)
    return Gate(
        engine,
        reader,
        EarlyRejection(engine, reader, parts.state, hsts),
        parts.state,
        frozenset(dropped),
        declared,
        hsts,
        frozenset(limits.records) if limits is not None and controls.enforces(LimitsControl) else frozenset(),
        Source(loaded.hash, policy.api, loaded.shell, engine.hash_id),
        PLAIN - dropped,
    )


def _shed_as(policy: Policy, state: State) -> None:
    section, upstream = policy.flood.shedding, policy.upstream
    connections = upstream.connections * len(upstream.urls) if upstream is not None else 0
    state.shedder.configure(section.min, section.initial, section.max, section.queue, section.wait, connections)


def _declared_headers(loaded: Loaded) -> frozenset[bytes]:
    parameters = (parameter for operation in loaded.operations for parameter in operation.parameters)
    names = (parameter.name.lower() for parameter in parameters if parameter.place == "header")
    return frozenset(name.encode("latin-1", "replace") for name in names if "_" not in name)
