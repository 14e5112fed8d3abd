"""What an answer means: how it leaves, what it costs, which ids and records it gave.

The engine's second half, apart since it knows nothing of how a request came in.
"""

from __future__ import annotations

from msgspec import Struct

from sallygate.controls.clients import ClientsControl
from sallygate.controls.contract import Contract
from sallygate.controls.flood import FloodControl
from sallygate.controls.identity import IdentityControl
from sallygate.controls.injection import InjectionControl
from sallygate.controls.limits import LimitsControl
from sallygate.controls.location import LocationControl
from sallygate.controls.network import NetworkControl
from sallygate.controls.restrictions import RestrictionsControl
from sallygate.controls.transport import TransportControl
from sallygate.engine.case import Guarded
from sallygate.model.decision import Admission, HeaderList, Learned, Release
from sallygate.model.finding import Finding
from sallygate.model.request import Body, RequestHead
from sallygate.model.work import Charge
from sallygate.parsing.addresses import UNKNOWN, Address, location_network, parse_address
from sallygate.parsing.identifiers import IdHasher, answered_ids, count_records, most_records

ANSWER_READ_BYTES_MAX = 256 * 1024
"""Of an answer kept beside its stream to learn ids from. Pages of honest clients are smaller."""
RECORDS_READ_BYTES_MAX = 32 << 20
"""Of an answer whose records are counted. A larger one costs the whole rest of the budget."""
UNCOUNTED = 1 << 30
"""What an answer too large or too garbled to count is charged: more than any budget has left."""


class Controls(Struct, frozen=True):
    """The controls of one policy; None where the policy does without or says `off`."""

    transport: TransportControl | None
    network: NetworkControl | None
    restrictions: RestrictionsControl | None
    clients: ClientsControl | None
    identity: IdentityControl | None
    location: LocationControl | None
    limits: LimitsControl | None
    flood: FloodControl | None
    contract: Contract | None
    injection: InjectionControl | None
    how: dict[str, Guarded]


class Releasing:
    """The engine's second half."""

    def __init__(self, controls: Controls, hash_id: IdHasher) -> None:
        self.controls = controls
        self.hash_id = hash_id

    def release(self, admission: Admission, status: int, headers: HeaderList) -> Release | Finding:
        """How the answer leaves, judged from its head."""
        limits, operation = self.controls.limits, admission.operation
        if admission.own:
            return Release()
        counted = limits is not None and limits.counts_records(admission.principal, operation)
        media = coding = b""
        for name, value in headers:
            if name == b"content-type":
                media = value
            elif name == b"content-encoding":
                coding = value.strip().lower()
        readable = coding in (b"", b"identity", b"gzip") and is_json(media)
        if counted and 200 <= status < 300 and status != 204 and not readable:
            # Records in a form that cannot be counted (`Accept: text/csv`) must not leave uncounted.
            rule = (coding or media).decode("latin-1")
            return Finding("limits.uncountable", "The answer cannot be counted.", 502, rule=rule, owasp="API4")
        cut = limits is not None and limits.cut
        if not readable or operation is None:
            return Release(cut)
        most = RECORDS_READ_BYTES_MAX if counted else ANSWER_READ_BYTES_MAX
        return Release(cut, most, "gzip" if coding == b"gzip" else "")

    def _enforces(self, control: str) -> bool:
        how = self.controls.how.get(control)
        return how is not None and how.mode == "enforce"

    # at the door ---------------------------------------------------------------------------------------------------

    @property
    def judges_locations(self) -> bool:
        """Whether a place alone may decide anything at present."""
        controls = self.controls
        restrictions = controls.restrictions
        return controls.network is not None or (restrictions is not None and not restrictions.none_by_location)

    @property
    def restrictions_in_force(self) -> object:
        """Another object after every change."""
        restrictions = self.controls.restrictions
        return restrictions.in_force if restrictions is not None else None

    def turns_away(self, address: Address, method: str, now: float) -> tuple[Finding | None, bool]:
        """What refuses whoever calls from there, whatever is asked; and, where nothing does, whether restrictions have
        nothing to say of the place (a throttle needs the whole way)."""
        controls, how = self.controls, self.controls.how
        allowed = False
        if controls.network is not None:
            finding, allowed = controls.network.judge_location(address, method)
            if finding is None and not allowed:
                finding = controls.network.denied_by_feeds(address, now)
            if finding is not None and how["network"].mode == "enforce":
                return finding, True
        if controls.restrictions is None or allowed or how["restrictions"].mode != "enforce":
            return None, True
        outcome = controls.restrictions.judge_location(address, method, now)
        if outcome.finding is not None and not outcome.wait_s:
            return outcome.finding, True
        return None, outcome.finding is None and not outcome.charges

    @property
    def boxes(self) -> bool:
        """Whether anybody is in the penalty box at present, and kept out."""
        flood = self.controls.flood
        return flood is not None and flood.has_boxed and self._enforces("flood")

    def boxed(self, address: Address, now: float) -> tuple[Finding, float] | None:
        """What keeps a stranger from there out, and for how many seconds more."""
        flood = self.controls.flood
        return flood.boxed(address.network, location_network(address.text), now) if flood is not None else None

    def too_fast(self, address: Address, now: float) -> tuple[Finding, float, tuple[Charge, ...]] | None:
        """What refuses more requests from there, whoever sends them; for how many seconds; and what that costs."""
        flood, limits = self.controls.flood, self.controls.limits
        charges: tuple[Charge, ...] = ()
        if flood is not None and "flood" in self.controls.how:
            finding, charges, _, wait_s = flood.judge_site(location_network(address.text), now)
            if finding is not None:  # in shadow, the whole way has more to tell
                return (finding, wait_s, ()) if self._enforces("flood") else None
        if limits is None or not self._enforces("limits"):
            return None
        finding, wait_s = limits.judge_network(address.network, now)
        if finding is None:
            return None
        if flood is not None:
            charges += flood.refused(finding, address.network, address.text, None)
        return finding, wait_s, charges

    # released ------------------------------------------------------------------------------------------------------

    def is_terminated(self, admission: Admission, head: RequestHead, now: float) -> bool:
        """Whether a restriction made since cuts what is under way."""
        restrictions, network = self.controls.restrictions, self.controls.network
        if restrictions is None or self.controls.how["restrictions"].mode != "enforce":
            return False
        allowed = network is not None and network.admits(parse_address(head.client_address) or UNKNOWN)
        return restrictions.ends(head, admission.principal, admission.operation, now, location_allowed=allowed)

    def bytes_left(self, admission: Admission, now: float) -> int | None:
        """What the caller may still be sent; None without a budget."""
        limits = self.controls.limits
        return limits.bytes_left(admission.principal, now) if limits is not None else None

    def bytes_charges(self, admission: Admission, sent_bytes: int) -> tuple[Charge, ...]:
        limits = self.controls.limits
        return limits.bytes_charges(admission.principal, sent_bytes) if limits is not None else ()

    def named_ids(self, admission: Admission, body: Body) -> tuple[tuple[int, ...], bool]:
        """Hashes of the ids a JSON body names, and whether there were more."""
        if body.kind != "json" or admission.operation is None:
            return (), False
        return answered_ids(admission.operation.object_names, body.tree, self.hash_id)

    def learn(self, admission: Admission, status: int, tree: object, *, unread: bool, partial: bytes = b"") -> Learned:
        """What an answer cost and which ids it gave. `unread`: it was too large, garbled or cut short to be read;
        `partial` is what a client had of an answer it did not wait for."""
        limits, operation = self.controls.limits, admission.operation
        records: int | None = None
        counted = limits is not None and limits.counts_records(admission.principal, operation)
        ids: tuple[int, ...] = ()
        truncated = unread
        if operation is not None and status < 300:
            if limits is not None and operation.id in limits.records and tree is not None:
                records = count_records(tree, limits.records[operation.id])
            if counted and unread:
                records = most_records(partial) if partial else UNCOUNTED
            if tree is not None:
                ids, truncated = answered_ids(operation.object_names, tree, self.hash_id)
        charges = limits.records_charges(admission.principal, records) if limits is not None else ()
        return Learned(None if records == UNCOUNTED else records, ids, truncated, charges)


def is_json(content_type: bytes) -> bool:
    media = content_type.partition(b";")[0].strip().lower()
    return media == b"application/json" or media.endswith(b"+json")
