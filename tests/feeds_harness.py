"""Feeds for tests: a runtime's feeds with a clock that a test sets, servers of lists, of MISP's files and of TAXII on
loopback, and bytes of every format."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from patience import patient
from sallygate.parsing.addresses import parse_address
from sallygate.policy.load import load_policy
from sallygate.security.state_directory import Installation
from sallygate.services.feeds.schedule import FeedSources
from sallygate.services.feeds.task import Task
from sallygate.services.feeds.worker import Done, work
from sallygate.state.state import State
from support import Received, Upstream, write_policy

NOW = 1_795_000_000.0
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def indicator(pattern: str, at: float = NOW - 86400, number: int = 0, **more: Any) -> dict[str, Any]:
    """A STIX 2.1 indicator; `number` names it."""
    said = {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.UUID(int=number or hash(pattern) & (1 << 64) - 1)}",
        "created": moment(at), "modified": moment(at), "valid_from": moment(at), "pattern": pattern, "pattern_type": "stix",
    }  # fmt: skip
    return {**said, **more}


def bundle(*objects: dict[str, Any]) -> bytes:
    return json.dumps({"type": "bundle", "id": f"bundle--{uuid.UUID(int=1)}", "objects": list(objects)}).encode()


def ip(address: str) -> str:
    family = "ipv6-addr" if ":" in address else "ipv4-addr"
    return f"[{family}:value = '{address}']"


class Here(FeedSources):
    """Does the work in this process, in a twentieth of the time."""

    def _run(self, task: Task) -> Done:
        return work(task)


class FeedHouse:
    """The feeds of a policy over a state directory; `apart`: the work in processes of its own, as a gate has it."""

    def __init__(self, directory: Path, feeds: str, *, apart: bool = False) -> None:
        self.now = NOW
        self.told: list[str] = []
        self.directory = directory
        self.policy = write_policy(directory, f"network:\n  intelligence: [{feeds}]\n")
        self.loaded = load_policy(self.policy)
        self.installation = Installation(directory / "state")
        self.state = State()
        kind = FeedSources if apart else Here
        self.sources = kind(self.installation, self.state, lambda: self.now, self._failed, self.told.append)
        self.sources.load(self.loaded)

    def _failed(self, what: str, error: BaseException) -> None:
        self.told.append(f"{what}: {error}")

    def names(self, address: str) -> list[str]:
        """The indicators that name an address."""
        parsed = parse_address(address)
        assert parsed is not None
        return [match.indicator for match in self.state.feeds.find(parsed, self.now)]

    async def settle(self, rounds: int = 1) -> None:
        """Fetch what is due, two feeds a round."""
        for _ in range(rounds):
            await self.sources.step()
            await asyncio.gather(*self.sources._tasks.values())

    def reload(self, feeds: str) -> None:
        self.policy = write_policy(self.directory, f"network:\n  intelligence: [{feeds}]\n")
        self.loaded = load_policy(self.policy)
        self.sources.configure(self.loaded)

    @property
    def only(self) -> Any:
        """The state of the one feed there is."""
        (one,) = self.sources.states()
        return one


def run(house: FeedHouse, story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await story()
        finally:
            await house.sources.stop()

    asyncio.run(whole())


def fetched(house: FeedHouse, rounds: int = 1) -> FeedHouse:
    run(house, lambda: house.settle(rounds))
    return house


@dataclass
class Files:
    """An HTTP server of files, by path; a file may be a function of the request."""

    files: dict[str, Any] = field(default_factory=dict)
    asked: list[Received] = field(default_factory=list)
    down: bool = False
    headers: str = ""

    def answer(self, request: Received, client: Any) -> None:
        self.asked.append(request)
        path = request.line.split()[1].decode().partition("?")[0]
        found = self.files.get(path)
        if callable(found):
            found(request, client)
            return
        if self.down or found is None:
            client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % (503 if self.down else 404))
            return
        tag = f'"{hash(found)}"'
        if [tag.encode()] == request.values(b"if-none-match"):
            client.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n")
            return
        head = f"HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: {len(found)}\r\n{self.headers}\r\n"
        client.sendall(head.encode() + found)

    @property
    def paths(self) -> list[str]:
        return [request.line.split()[1].decode() for request in self.asked]


@contextmanager
def serving(files: dict[str, Any]) -> Iterator[tuple[str, Files]]:
    served = Files(files)
    with Upstream(served.answer) as server:
        yield server.url, served


@dataclass
class Taxii:
    """medallion, a TAXII 2.1 server, with one collection of ours."""

    url: str
    backend: Any
    asked: list[str] = field(default_factory=list)

    @property
    def collection(self) -> str:
        return f"{self.url}/api1/collections/{COLLECTION}/"

    def add(self, *objects: dict[str, Any]) -> None:
        status = self.backend.add_objects(
            "api1", COLLECTION, {"objects": list(copy.deepcopy(objects))}, datetime.now(UTC)
        )
        assert status["failure_count"] == 0, status


@contextmanager
def taxii_server(*, page: int = 3, can_read: bool = True) -> Iterator[Taxii]:
    from medallion import application_instance, register_blueprints, set_config
    from medallion.backends.memory_backend import MemoryBackend
    from werkzeug.serving import WSGIRequestHandler, make_server

    set_config(application_instance, "users", {"users": {"reader": "s3cret:x"}})
    set_config(application_instance, "taxii", {"taxii": {"max_page_size": page}})
    if not application_instance.blueprints:
        register_blueprints(application_instance)
    backend = application_instance.medallion_backend = MemoryBackend()
    server_asked: list[str] = []

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: Any) -> None:
            server_asked.append(self.path)

    server = make_server("127.0.0.1", 0, application_instance, threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    backend.data = {
        "/discovery": {"title": "ours", "default": f"{url}/api1/", "api_roots": [f"{url}/api1/"]},
        "api1": {
            "information": {"title": "root", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 10**8},
            "status": [],
            "collections": [
                {"id": COLLECTION, "title": "bad", "can_read": can_read, "can_write": True, "media_types": [],
                 "manifest": [], "objects": []}
            ],
        },
    }  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Taxii(url, backend, server_asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(patient(5))


def misp_event(*attributes: dict[str, Any], at: float = NOW - 86400, number: int = 1) -> dict[str, Any]:
    return {
        "Event": {
            "uuid": str(uuid.UUID(int=number)),
            "timestamp": str(int(at)),
            "info": "x",
            "Attribute": list(attributes),
        }
    }


def attribute(value: str, kind: str = "ip-src", **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "to_ids": True, "timestamp": str(int(NOW - 86400)), **more}


def misp_files(*events: dict[str, Any]) -> dict[str, bytes]:
    """The files of a feed, as MISP writes them."""
    listed = {one["Event"]["uuid"]: {"timestamp": one["Event"]["timestamp"], "info": "x"} for one in events}
    return {"/feed/manifest.json": json.dumps(listed).encode(),
            **{f"/feed/{one['Event']['uuid']}.json": json.dumps(one).encode() for one in events}}  # fmt: skip
