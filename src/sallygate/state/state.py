"""State: every table that decisions read, in one place; filled by services, never from a decision."""

from __future__ import annotations

from collections.abc import Iterable

from sallygate.model.work import Charge
from sallygate.state.account_cache import Accounts, VerifiedPasswords
from sallygate.state.bounded_table import BucketHash, Table
from sallygate.state.cleared_texts import ClearedTexts
from sallygate.state.credentials import Credentials
from sallygate.state.feeds import Feeds
from sallygate.state.geography import Geography
from sallygate.state.impossible_travel import Travels
from sallygate.state.key_sets import KeySets, Revocations
from sallygate.state.known_networks import KnownNetworks
from sallygate.state.load_shedding import Shedder
from sallygate.state.memory_budget import MemoryBudget
from sallygate.state.penalty_box import Penalties
from sallygate.state.restrictions import Restrictions
from sallygate.state.slots import Slots


class State:
    """Everything decisions read, in one place. The loop's thread alone writes it."""

    def __init__(self, bucket_key: bytes = b"") -> None:
        """`bucket_key`: secret of the installation, under which subjects are hashed into overflow buckets."""
        self._bucket_hash = BucketHash(bucket_key)
        self.tables: dict[str, Table] = {}
        self.slots = Slots()
        self.penalties = Penalties()
        self.shedder = Shedder()
        self.memory = MemoryBudget()
        self.credentials = Credentials()
        self.known_networks = KnownNetworks()
        self.travels = Travels()
        self.accounts = Accounts()
        self.verified = VerifiedPasswords()
        self.restrictions = Restrictions()
        self.geography = Geography()
        self.feeds = Feeds()
        self.issuers = KeySets()
        self.revocations = Revocations()
        self._cleared_texts: tuple[frozenset[str], ClearedTexts] = frozenset(), ClearedTexts()

    def cleared_texts(self, credentials: frozenset[str]) -> ClearedTexts:
        """Those of gates that have the same places of checked `credentials`; a change of these begins with none."""
        if self._cleared_texts[0] != credentials:
            self._cleared_texts = credentials, ClearedTexts()
        return self._cleared_texts[1]

    def charge(self, charges: Iterable[Charge], now: float) -> None:
        """Take every charge from its counter. One whose counter went with a policy or a restriction costs nothing."""
        for charge in charges:
            if (table := self.tables.get(charge.table)) is not None:
                table.take(charge.subject, now, charge.amount)

    def table(self, fresh: Table, now: float) -> Table:
        """The table of that name that is there; or `fresh`, with what the old one counted, when the limit changed."""
        old = self.tables.get(fresh.name)
        if old is not None and old.spec == fresh.spec:
            return old
        fresh.keyed(self._bucket_hash)
        if old is not None and type(old) is type(fresh):
            for subject in old.subjects():
                if (row := old.row(subject)) is not None:
                    fresh.load(subject, row[2], row[3], now)
            fresh.give_back(old.take_deltas())
        self.tables[fresh.name] = fresh
        return fresh
