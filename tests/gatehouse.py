"""A gate in memory for property tests: one policy, a state made for one example, requests drawn from a small world.

The world is small on purpose, so that callers, addresses and limits meet often.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from patterns import prefilter
from sallygate.auth.routes import auth_operations
from sallygate.engine import order
from sallygate.engine.compose import compose
from sallygate.engine.gate import Gate
from sallygate.events.rejection_counts import RejectionCounts
from sallygate.guard import Guard
from sallygate.model.exchange import Exchange
from sallygate.model.principal import Credential
from sallygate.model.request import RequestHead
from sallygate.model.restriction import Restriction
from sallygate.model.work import CredentialLoaded, LoadLocations, LocationsLoaded
from sallygate.parsing.http.credentials import KEY_ID_CHARS
from sallygate.policy.load import Loaded, load_policy
from sallygate.security.key_ring import KeyRing
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.geography import Geography
from sallygate.state.state import State
from support import OPENAPI, write_policy

SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = 1_790_000_000.0
RING = KeyRing(b"p" * 32)
ADDRESSES = ("192.0.2.1", "192.0.2.2", "198.51.100.9", "2001:db8::1")
GEOGRAPHY = {
    "192.0.2.1": {"country": {"iso_code": "NO"}, "autonomous_system_number": 64496},
    "198.51.100.9": {"country": {"iso_code": "FR"}},
}
PLANS = {
    "small": "{rate: 5/s burst 5, quota: {hour: 8}, scopes: [things:read]}",
    "large": '{rate: 50/s burst 50, quota: {hour: 100}, data: {bytes: 1000/day}, scopes: ["*"]}',
}
SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in order.SECTIONS))
"""Of every control there is; each is in the policy, with what makes it speak where its defaults do not."""
OWN = {"transport": "trusted_hops: [203.0.113.1]", "identity": "api_keys: {header: X-API-Key}",
       "network": "rules: [{operations: [createThing], deny: [203.0.113.99]}, {accounts: [acme], deny: [203.0.113.99]}]",
       "limits": "address: 20/s burst 20, address_concurrent: 5", "flood": "prefix: 20/s burst 20",
       "headers": "set: {Cache-Control: no-store}"}  # fmt: skip


def _credential(
    number: int, account: str, plan: str, scopes: tuple[str, ...] | None = None, **more: Any
) -> tuple[str, Credential]:
    text = RING.compose(f"key{number}".ljust(KEY_ID_CHARS, "0"), bytes([number]) * 32)
    key_id = text.split("_")[1]
    return text, Credential(key_id, RING.digest_of(text), account, plan, scopes, 0.0, **more)


CREDENTIALS: dict[str, tuple[str, Credential]] = {
    "large": _credential(1, "acme", "large"),
    "second": _credential(2, "acme", "large", ("things:read",)),
    "small": _credential(3, "bit", "small"),
    "revoked": _credential(4, "old", "large", revoked_at=1.0),
    "expired": _credential(5, "old", "large", expires_at=NOW - 1),
    "gone": _credential(6, "odd", "retired"),
}
UNSTORED = _credential(9, "nobody", "large")[0]


def policy_text(modes: Mapping[str, str] | None = None, plans: Mapping[str, str] | None = None, **own: str) -> str:
    lines = [f"{name}: {text}" for name, text in (plans or PLANS).items()]
    text = "plans: {" + ", ".join(lines) + "}\n" if lines else "plans: {}\n"
    for section in SECTIONS:
        parts = [
            part for part in ({**OWN, **own}.get(section, ""), f"mode: {(modes or {}).get(section, 'enforce')}") if part
        ]
        text += f"{section}: {{{', '.join(parts)}}}\n"
    own = "cost: 2, rate: 10/s burst 10, rates: [{by: 'body:/name', rate: 10/s burst 10}]"
    return text + f"operations: {{listThings: {{records: /items}}, createThing: {{{own}}}}}\n"


@lru_cache(64)
def load(text: str) -> Loaded:
    with tempfile.TemporaryDirectory() as directory:
        return load_policy(write_policy(Path(directory), text, openapi=OPENAPI), "in_process")


@dataclass(frozen=True)
class Request:
    method: str = "GET"
    path: str = "/things"
    query: str = ""
    key: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    address: str = ADDRESSES[0]
    scheme: str = "https"

    def scope(self) -> dict[str, Any]:
        headers = [(b"host", b"api.example"), *self.headers]
        if self.key is not None:
            text = CREDENTIALS[self.key][0] if self.key in CREDENTIALS else self.key
            headers.append((b"x-api-key", text.encode()))
        if self.body:
            headers.append((b"content-length", b"%d" % len(self.body)))
        return {
            "type": "http", "http_version": "1.1", "method": self.method, "scheme": self.scheme, "path": self.path,
            "raw_path": self.path.encode(), "query_string": self.query.encode(), "headers": headers,
            "client": (self.address, 1), "server": ("127.0.0.1", 443), "root_path": "",
        }  # fmt: skip


JSON = (b"content-type", b"application/json")
_GOOD = (
    Request(key="large"), Request(key="small", query="limit=5"), Request(path="/status"), Request(path="/openapi.json"),
    Request(path="/things/1", key="second"), Request("POST", key="large", headers=(JSON,), body=b'{"name":"a"}'),
)  # fmt: skip
_CHANGES: dict[str, list[Any]] = {
    "method": ["GET", "POST", "DELETE", "OPTIONS"],
    "path": ["/things", "/things/1", "/status", "/nothing", "/a/../b"],
    "query": ["limit=5", "limit=0", "admin=1", "q=%zz"],
    "key": [None, *CREDENTIALS, UNSTORED, "rubbish"],
    "headers": [(), (JSON,), (JSON, JSON), ((b"upgrade", b"websocket"),), ((b"content-encoding", b"gzip"), JSON)],
    "body": [b"", b'{"name":"a"}', b'{"name":1}', b'{"name":"a","name":"b"}', b"{", b"x" * 100],
    "address": list(ADDRESSES),
    "scheme": ["http"],
}
_change = st.sampled_from([(name, value) for name, values in _CHANGES.items() for value in values])
requests = st.tuples(st.sampled_from(_GOOD), st.lists(_change, max_size=2)).map(
    lambda drawn: replace(drawn[0], **dict(drawn[1]))
)
"""Good requests with at most two things changed, so that each property sees both answers."""
scopes = st.one_of(
    st.sampled_from(ADDRESSES[:3]).map(lambda text: (("address", text),)),
    st.sampled_from(["192.0.2.0/24", "198.51.100.0/25", "2001:db8::/32"]).map(lambda text: (("prefix", text),)),
    st.sampled_from([one.id for _, one in CREDENTIALS.values()]).map(lambda text: (("key", text),)),
    st.sampled_from(["acme", "bit", "old"]).map(lambda text: (("account", text),)),
    st.sampled_from(["listThings", "createThing", "getStatus"]).map(lambda text: (("operation", text),)),
    st.sampled_from(["NO", "FR"]).map(lambda text: (("country", text),)),
    st.just((("continent", "EU"), ("account", "acme"))),
    st.just((("asn", "64496"),)),
    st.tuples(
        st.tuples(st.just("account"), st.sampled_from(["acme", "bit"])),
        st.tuples(st.just("operation"), st.sampled_from(["listThings", "createThing"])),
    ),
)
restrictions = st.builds(
    lambda number, scope, act: Restriction(
        f"r{number}", scope, act, "test", "test", 0.0, NOW + 1000, "1/s burst 1" if act == "throttle" else ""
    ),
    st.integers(0, 999),
    scopes,
    st.sampled_from(["terminate", "deny", "challenge", "throttle"]),
)
charges = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "address",
                "plan:small:rate",
                "plan:small:hour",
                "plan:large:rate",
                "plan:large:hour",
                "plan:large:bytes",
                "operation:createThing",
            ]
        ),
        st.sampled_from(["acme", "bit", *ADDRESSES]),
        st.integers(1, 60),
    ),
    max_size=4,
)
"""(table, subject, amount) taken before the request."""


@dataclass
class House:
    """Guard, its services and the application behind it, for one example."""

    text: str = field(default_factory=policy_text)
    made: list[Restriction] = field(default_factory=list)
    taken: list[tuple[str, str, int]] = field(default_factory=list)
    in_memory: bool = True
    """Whether keys are in memory, or must be asked for."""
    store_fails: bool = False
    credentials: dict[str, tuple[str, Credential]] = field(default_factory=lambda: dict(CREDENTIALS))

    def __post_init__(self) -> None:
        self.state = State()
        self.state.geography = Geography([GEOGRAPHY.get])
        self.gate: Gate = compose(load(self.text), self.state, RING, b"i" * 32, NOW, auth_operations, prefilter())
        self.stored = {credential.id: credential for _, credential in self.credentials.values()}
        if self.in_memory:
            for credential in self.stored.values():
                self.state.credentials.put(credential)
        add_restrictions(self.state, self.made, NOW)
        for table, subject, amount in self.taken:
            if table in self.state.tables:
                self.state.tables[table].take(subject, NOW, amount)
        self.exchanges: list[Exchange] = []
        self.reached = 0
        self.rejections, self.watched = RejectionCounts(), True
        self.under_way = 0
        self.live: set[Any] = set()
        self.worked = 0
        self.seen: dict[str, Any] = {}

    # Guard's services ------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return NOW

    def tick_us(self) -> int:
        return 0

    def traceparent(self, head: object) -> None:
        return None

    def new_request_id(self) -> str:
        return "0" * 32

    async def work(self, work: Any) -> CredentialLoaded:
        self.worked += 1
        if isinstance(work, LoadLocations):
            return LocationsLoaded(work.principal, (), failed=self.store_fails)
        if self.store_fails:
            return CredentialLoaded(work.id, None, failed=True)
        return CredentialLoaded(work.id, self.stored.get(work.id))

    async def aside(self, call: Any) -> Any:
        return call()

    def identity_headers(self, principal: Any, now: float) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"x-sallygate-account", principal.account.encode()),)

    def record(self, exchange: Exchange, gate: Gate) -> None:
        self.exchanges.append(exchange)

    def failed(self, what: str, error: BaseException) -> None:
        pass

    async def lifespan(self, event: str) -> None:
        pass

    # asking ----------------------------------------------------------------------------------------------------------

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        self.seen = scope
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"items":[]}'})

    def passes(self, request: Request | dict[str, Any], body: bytes = b"") -> bool:
        """Whether the request reaches the application."""
        scope = request if isinstance(request, dict) else request.scope()
        body = body or (request.body if isinstance(request, Request) else b"")
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        self.said: list[Any] = []

        async def send(message: Any) -> None:
            self.said.append(message)

        before = self.reached
        asyncio.run(Guard(self._app, self)(scope, receive, send))
        return self.reached > before

    def head(self, request: Request) -> RequestHead:
        scope = request.scope()
        return self.gate.reader.read(
            method=request.method, scheme=request.scheme, raw_path=scope["raw_path"], raw_query=scope["query_string"],
            headers=tuple(scope["headers"]), http_version="1.1", peer=request.address, request_id="0" * 32, now=NOW,
        )  # fmt: skip

    def rows(self) -> dict[str, list[Any]]:
        """What the counters hold."""
        tables = self.state.tables.items()
        return {name: copy.copy([table.row(subject) for subject in table.subjects()]) for name, table in tables}


__all__ = ["CREDENTIALS", "NOW", "House", "Request", "charges", "policy_text", "replace", "requests", "restrictions"]
