"""Comparison of a policy with recorded decisions: `sallygate check POLICY --against`.

Recorded requests are decided again whole. Of events there is what events keep: place, method, path, names of
parameters, who called, sizes. What is judged from these is judged again, in order and with counters that begin empty.
What was found in values and bodies, by a restriction, or by how many requests were under way is taken as it was found,
under the modes, switches and exclusions of the new policy. Scopes and plans of keys are those of now; whether a key is
right, revoked or expired is not asked again.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct
from msgspec.structs import replace

from sallygate.auth.routes import auth_operations
from sallygate.controls.contract import ContractControl, contract_settings
from sallygate.controls.contract.settings import passed_by
from sallygate.controls.identity import ACCOUNT
from sallygate.controls.injection import InjectionControl, Prefilter
from sallygate.controls.limits import LimitsControl
from sallygate.engine.compose import compose, guarded
from sallygate.engine.controls_in_force import Guarded
from sallygate.engine.engine import Engine
from sallygate.engine.evaluation import Judge
from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.gate import Gate
from sallygate.model import driver as d
from sallygate.model.access import KnownNetwork
from sallygate.model.account import Account
from sallygate.model.decision import Decision
from sallygate.model.evaluation import Evaluation
from sallygate.model.event import Event
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.principal import Credential
from sallygate.model.request import RequestHead
from sallygate.model.work import (
    AccountLoaded,
    LoadAccount,
    LoadLocations,
    LocationsLoaded,
    PasswordVerified,
    VerifyPassword,
    Work,
    WorkDone,
    nothing_known,
)
from sallygate.offline.decide import SILENT, Offline, drive
from sallygate.offline.recordings import Recorded
from sallygate.parsing.addresses import location_network
from sallygate.parsing.http.credentials import KEY_ID_CHARS
from sallygate.policy.load import Loaded
from sallygate.security.key_ring import KeyRing, base62
from sallygate.security.state_directory import Installation
from sallygate.services.feeds.schedule import load_kept
from sallygate.services.network_files import databases_of, geography_of
from sallygate.state.parts import DEFAULT_KEY_HEADER
from sallygate.state.state import State

_KEPT = {
    "contract": "contract",
    "body": "contract",
    "injection": "injection",
    "restriction": "restrictions",
    "challenge": "restrictions",
}
"""Findings that come from what events do not keep, by the first part of their code, and the control they are of."""
_JUDGED_AGAIN = ("contract.query_unknown", "contract.parameter_repeated")
"""Of the contract's, what names alone tell; parameters in the path too, whose values events keep."""
_KEPT_CODES = {
    "limits.concurrent": "limits", "limits.address_concurrent": "limits", "flood.prefix_concurrent": "flood",
    "flood.penalty": "flood", "flood.slow_body": "flood", "flood.shed": "flood.shedding",
    "flood.memory": "flood", "limits.field": "limits",
}  # fmt: skip
"""What hung on a value, on how much was under way, how fast it came, or what was refused before."""
_NEW_LOCATION = ("location.new", "location.unverified")
_NO_POLICY = frozenset(("upstream", "request", "control", "transport"))
"""What the connection, the API or a fault decided."""
_PIECE = bytes(1 << 20)
"""Stands for a mebibyte of a response."""
REPEATS_MAX = 1_000
"""One event stands for at most so many; a flood of more has long met its limit."""
EXAMPLES_MAX = 3
RIGHT = "right"
"""Stands for any password that was right."""
_SAMPLES = {"e": "", "w": "a*"}


class Change(Struct, frozen=True):
    """Requests alike that would be decided differently."""

    operation: str
    principal: str
    was: str
    """Its reason, `allow` or `recorded` (a file that does not say)."""
    would_be: str
    requests: int
    examples: tuple[str, ...]


class Comparison:
    """What was decided and what would be, counted."""

    def __init__(self) -> None:
        self.requests = 0
        self.changed = 0
        self.newly_refused = 0
        self.newly_allowed = 0
        self.unreadable = 0
        self._groups: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
        self._counts: dict[tuple[str, str, str, str], int] = defaultdict(int)

    def add(self, operation: str, principal: str, was: str, would_be: str, example: str, times: int = 1) -> None:
        """Count `times` requests with their old and new decision."""
        self.requests += times
        if was == would_be:
            return
        self.changed += times
        if would_be == "allow":
            self.newly_allowed += times
        elif was == "allow":
            self.newly_refused += times
        key = (operation, principal, was, would_be)
        self._counts[key] += times
        if len(self._groups[key]) < EXAMPLES_MAX and example not in self._groups[key]:
            self._groups[key].append(example)

    def changes(self) -> list[Change]:
        """The largest first."""
        made = [Change(*key, self._counts[key], tuple(examples)) for key, examples in self._groups.items()]
        return sorted(made, key=lambda one: (-one.requests, one.operation, one.principal))


def verdict_of(decision: Decision) -> str:
    """`allow`, or the reason it was not."""
    if decision.verdict == "allow":
        return "allow"
    return next((finding.code for finding in decision.findings if finding.mode == "enforce"), decision.verdict)


# events -------------------------------------------------------------------------------------------------------------


class FromEvents:
    """Decides events under `loaded`. `credentials` are the installation's, `prefilter` is that of injection."""

    event: Event
    """The one that is being decided."""

    def __init__(
        self,
        loaded: Loaded,
        credentials: Iterable[Credential],
        prefilter: Prefilter | None,
        now: float,
        accounts: Iterable[Account] = (),
        installation: Installation | None = None,
    ) -> None:
        """`installation`: whose feeds of threat intelligence count; none do without."""
        self._ring = KeyRing(secrets.token_bytes(32))
        self._state = State()
        self._keys: dict[str, str] = {}
        identity = loaded.policy.identity
        self._header = (identity.api_keys.header if identity else DEFAULT_KEY_HEADER).lower().encode()
        self._state.geography = geography_of(databases_of(loaded))
        load_kept(self._state, loaded, installation)
        self._gate: Gate = compose(
            loaded, self._state, self._ring, secrets.token_bytes(32), now, auth_operations, prefilter
        )
        self._injection = self._gate.engine.controls.get(InjectionControl)
        self._contract = contract_settings(loaded.policy)
        self._own_modes = {name: part.contract.mode for name, part in loaded.policy.operations.items() if part.contract}
        self._identity, self._auth = loaded.policy.identity, loaded.policy.auth
        flood = loaded.policy.flood  # recorded requests had no API of ours to load; what was found then stands
        self._how: dict[str, Guarded] = {
            **{name: guarded(one) for name, one in (("flood", flood), ("flood.shedding", flood.shedding))},
            **self._gate.engine.controls.by_section,
        }
        self._recall(self._gate.engine)
        for account in accounts:
            self._state.accounts.put(replace(account, locked_at=None, password=RIGHT))
        for credential in credentials:
            self._know(credential)

    def _know(self, credential: Credential) -> str:
        """A key of our own for the same account: the real one's text is nowhere."""
        text = self._ring.compose(credential.id, secrets.token_bytes(32))
        ours = replace(credential, digest=self._ring.digest_of(text), revoked_at=None, expires_at=None)
        self._state.credentials.put(ours)
        self._keys[credential.id] = text
        return text

    def decide(self, event: Event) -> str:
        """What the event's request would be answered: `allow`, or the reason against it. Charges what it costs."""
        self.event = event
        driver = ExchangeDriver(self._gate, self._head(event), SILENT, 0.0)
        exchange, _ = drive(driver, lambda command: _answer(command, event))
        for _ in range(min(event.count * event.sampled, REPEATS_MAX) - 1):
            self._state.charge(exchange.charges, event.at)
        return verdict_of(exchange.decision)

    def _recall(self, engine: Engine) -> None:
        """Have the engine take from events what they keep the outcome of."""
        controls = engine.controls
        for kind in (ContractControl, InjectionControl, LimitsControl):
            if (control := controls.get(kind)) is not None:
                controls.put(kind, _Recalled(control, self))
        controls.add("plan", Judge(lambda at: self._recalled(at) if at.own else None, "recorded", "plan", "enforce"))
        controls.add("examine", Judge(self._recalled, "recorded", "examine", "enforce"))
        engine.compile()

    def _recalled(self, evaluation: Evaluation) -> Judgement:
        """What was found in values and bodies, by a restriction, or by how much was under way."""
        return Judgement(tuple(self._kept(self.event, evaluation.operation, evaluation.head)))

    def _head(self, event: Event) -> RequestHead:
        headers = [(b"host", b"replay.invalid")]
        key_id = event.principal.removeprefix("key:")
        by_token = self._auth is not None and (self._identity is None or self._identity.basic is None)
        if event.principal.startswith("jwt:") or (event.principal.startswith(ACCOUNT) and by_token):
            # Nobody can sign its token again: a key of the same account stands for it.
            key_id = base62(hashlib.sha256(event.principal.encode()).digest()[:9], KEY_ID_CHARS)
        if key_id != event.principal:
            text = self._keys.get(key_id)
            if text is None:  # erased or older than the database: the event says whose it was
                text = self._know(Credential(key_id, b"", event.account, event.plan, None, 0.0))
            headers.append((self._header, text.encode()))
        elif event.principal.startswith(ACCOUNT):
            pair = base64.b64encode(f"{event.account}:{RIGHT}".encode())
            headers.append((b"authorization", b"Basic " + pair))
        query = urlencode([(name, _sample(bucket)) for name, bucket in event.filters])
        return self._gate.reader.read(
            method=event.method, scheme=event.scheme, raw_path=quote(event.path, safe="/%:@!$&'()*+,;=~").encode(),
            raw_query=query.encode(), headers=tuple(headers), http_version="1.1", peer=event.client_address,
            request_id="0" * 32, now=event.at,
        )  # fmt: skip

    def _kept(self, event: Event, operation: Operation | None, head: RequestHead) -> Iterator[Finding]:
        """What was found in values and bodies, as the new policy would take it."""
        injection = self._injection
        for finding in event.findings:
            control = _KEPT_CODES.get(finding.code) or _KEPT.get(finding.control, "")
            how = self._how.get(control)
            # Names of parameters are kept of what was allowed alone.
            again = _is_judged(finding) and (event.decision == "allow" or finding.code == "contract.parameter")
            mode = how.mode if how is not None else "off"
            if control == "contract" and operation is not None:
                mode = self._own_modes.get(operation.id) or mode
            if mode == "off" or (control == "contract" and (again or self._is_ignored(finding, operation))):
                continue
            if control == "injection" and injection is not None:
                family = finding.code.removeprefix("injection.")
                if injection.excludes(operation.id if operation else "", head, family, finding.where):
                    continue
            yield replace(finding, mode=mode)

    def _is_ignored(self, finding: Finding, operation: Operation | None) -> bool:
        setting, value = passed_by(finding.code, finding.rule)
        settings = self._contract.by_operation.get(operation.id if operation else "", self._contract)
        return bool(setting) and getattr(settings, setting) == value


class _Recalled:
    """A control, of whose findings those are left that events keep the ground of; what is charged goes by sizes that
    they keep."""

    def __init__(self, control: Any, events: FromEvents) -> None:  # Any: a class of `model.control`
        self._control, self._events = control, events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._control, name)

    def plan(self, evaluation: Evaluation) -> Judgement | None:
        """Judge as the control, without findings that need lost values."""
        return _without_lost(self._control.plan(evaluation))

    def examine(self, evaluation: Evaluation) -> Judgement | None:
        """Judge as the control, without findings that need lost values."""
        return _without_lost(self._control.examine(evaluation))

    def release(self, evaluation: Evaluation) -> Judgement | None:
        """The response's bytes are charged; whether it could be read is not known."""
        judgement: Judgement | None = self._control.release(evaluation)
        return Judgement(meter=judgement.meter) if judgement is not None else None

    def inspect(self, evaluation: Evaluation) -> Judgement | None:
        """Charges for the recorded number of records."""
        charges = self._control.records_charges(evaluation.principal, self._events.event.records)
        return Judgement(charges=charges) if charges else None


def _without_lost(judgement: Judgement | None) -> Judgement | None:
    if judgement is None:
        return None
    return Judgement(tuple([finding for finding in judgement.findings if _is_judged(finding)]))


def _answer(command: d.Command, event: Event) -> tuple[d.Event, ...]:
    """What came of a command, as far as the event tells."""
    if isinstance(command, d.Work):
        return (d.WorkDone(event.at, 0.0, tuple([_done(work, event) for work in command.items])),)
    if isinstance(command, d.ReadBody):
        return (d.BodyRead(event.at, 0.0),)
    if isinstance(command, d.CallApi):
        return (d.ResponseHead(event.at, 0.0, event.upstream_status or event.status, ()),)
    if isinstance(command, d.SendHead):
        pieces, rest = divmod(event.response_bytes or 0, len(_PIECE))
        chunks = [d.Chunk(event.at, 0.0, "api", _PIECE, True)] * pieces
        return (*chunks, d.Chunk(event.at, 0.0, "api", _PIECE[:rest], False))
    return ()


def _done(work: Work, event: Event) -> WorkDone:
    """Whether a credential is right is not asked again: an event with an account's name had the right password."""
    if isinstance(work, LoadAccount):  # erased, or older than the database: the event says whose it was
        return AccountLoaded(work.name, Account(work.name, event.plan, password=RIGHT))
    if isinstance(work, LoadLocations):  # where it came from was new, or not, as the event says
        new = any(finding.code in _NEW_LOCATION for finding in event.findings)
        one = KnownNetwork(work.principal, location_network(event.client_address), "verified", event.at)
        return LocationsLoaded(work.principal, () if new else (one,))
    return PasswordVerified(work.tag, "right") if isinstance(work, VerifyPassword) else nothing_known(work)


def _is_judged(finding: Finding) -> bool:
    """Whether events keep what this finding is about."""
    if finding.control not in _KEPT:
        return True
    return finding.code in _JUDGED_AGAIN or (finding.code == "contract.parameter" and finding.where.startswith("path:"))


def _sample(bucket: str) -> str:
    """A value that falls into the bucket (see `filter_shape`)."""
    kind, size = bucket[:1], bucket[1:]
    if kind == "n" and size.isdecimal():
        return "1" * min(int(size), 64)
    return _SAMPLES.get(kind, "a")


def compare_events(events: Iterable[Event], judged: FromEvents, comparison: Comparison) -> None:
    """Decide each event again and add it to `comparison`."""
    for event in events:
        if event.kind not in ("exchange", "early"):
            continue
        was = next((one.code for one in event.findings if one.mode == "enforce"), event.decision)
        was = "allow" if event.decision == "allow" else was
        if was.partition(".")[0] in _NO_POLICY:
            would_be = was
        else:
            would_be = judged.decide(event)
        if would_be == "identity.missing" and was.startswith("identity."):
            would_be = was  # with a credential that was none
        who = event.account or event.principal or event.client_address
        comparison.add(event.operation or event.path, who, was, would_be, f"{event.method} {event.path}",
                       event.count * event.sampled)  # fmt: skip


# recorded requests --------------------------------------------------------------------------------------------------


def compare_recorded(
    recorded: Recorded, said: object, new: Offline, old: Offline | None, number: int, comparison: Comparison
) -> None:
    """`said` is the record itself: `replay` writes its decision into it. Without one, and without an old policy, the
    request is taken as one that was served."""
    verdict = new.decide(recorded, number)
    would_be = verdict_of(verdict.decision)
    if old is not None:
        was = verdict_of(old.decide(recorded, number).decision)
    else:
        was = _said(said)
    path = recorded.raw_path.decode("latin-1")
    operation = verdict.operation.id if verdict.operation is not None else path
    who = verdict.principal.account if verdict.principal is not None else recorded.client
    comparison.add(operation, who, was, would_be, f"{recorded.method} {path}")


def _said(record: object) -> str:
    if not isinstance(record, dict) or record.get("decision", "allow") == "allow":
        return "allow"
    reasons = record.get("reasons")
    return str(reasons[0]) if isinstance(reasons, list) and reasons else str(record["decision"])
