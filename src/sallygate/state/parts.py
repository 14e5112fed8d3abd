"""Parts that controls are built from: the loaded policy, the state, and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from sallygate.policy.fields import ControlSection
from sallygate.policy.load import Loaded
from sallygate.policy.schema import SECTION_DEFAULTS, Clients
from sallygate.security.key_ring import KeyRing
from sallygate.state.state import State

DEFAULT_KEY_HEADER = "X-API-Key"


@dataclass(frozen=True)
class Parts:
    """What the composition of a gate gives every control. Sections left out have their defaults here."""

    loaded: Loaded
    state: State
    ring: KeyRing
    now: float
    prefilter: object | None
    """Of injection, as its control loads it; None has it compiled."""
    sections: dict[str, ControlSection] = field(default_factory=dict)
    """Those in force, by name: neither left out nor `off`."""

    def enforces(self, section: str) -> bool:
        """Whether what the section refuses is refused, whatever happens."""
        found = self.sections.get(section)
        return found is not None and found.mode == "enforce" and found.on_error == "deny"

    def enforces_contract(self, operation: str) -> bool:
        """Whether the contract of one operation is enforced, whatever happens."""
        own = part.contract if (part := self.loaded.policy.operations.get(operation)) is not None else None
        mode = own.mode if own is not None else None
        return self.enforces("contract") and mode in (None, "enforce")

    @property
    def key_header(self) -> str:
        """Header field of API keys."""
        identity = self.loaded.policy.identity
        return identity.api_keys.header if identity else DEFAULT_KEY_HEADER

    @property
    def credential_headers(self) -> frozenset[bytes]:
        """Where credentials stand that identity judges, in lower case."""
        policy = self.loaded.policy
        identity = policy.identity if "identity" in self.sections else None
        if identity is None:
            return frozenset()
        keys = identity.api_keys
        authorizes = keys.bearer or keys.basic or identity.jwt or identity.basic is not None or policy.auth is not None
        return frozenset((keys.header.lower().encode(), *((b"authorization",) if authorizes else ())))

    @property
    def own_paths(self) -> tuple[bytes, ...]:
        """Beginnings of the paths that the gate answers itself."""
        auth, clients = self.loaded.policy.auth, self.sections.get("clients")
        paths = [auth.prefix, auth.metadata_path] if auth is not None else []
        if isinstance(clients, Clients) and self.loaded.document is not None and clients.specification:
            paths.append(clients.specification)
        return tuple(path.encode() for path in paths)

    @property
    def ask_at(self) -> str:
        """Where a location is admitted by a code, if anywhere."""
        auth = self.loaded.policy.auth
        return f"{auth.prefix}/locations" if auth is not None and auth.delivery else ""


def sections_in_force(loaded: Loaded, names: Iterable[str]) -> dict[str, ControlSection]:
    """Those of the sections named that are neither left out nor `off`. A replay judges what its policy names: recorded
    requests have no connection of ours, and no API of ours to load."""
    found = {name: _section(loaded, name) for name in names}
    return {name: section for name, section in found.items() if section is not None and section.mode != "off"}


def _section(loaded: Loaded, name: str) -> ControlSection | None:
    policy = loaded.policy
    section: ControlSection | None = attrgetter(name)(policy)
    if loaded.shell == "replay":
        if name == "transport" or (name.startswith("flood") and "flood" not in policy.model_fields_set):
            return None
        needs = {"clients": policy.openapi, "limits": policy.plans, "injection": policy.openapi or policy.upstream}
        if section is None and not needs.get(name, True):
            return None
    if name == "contract" and loaded.document is None:
        return None
    return section if section is not None or name not in SECTION_DEFAULTS else SECTION_DEFAULTS[name]()
