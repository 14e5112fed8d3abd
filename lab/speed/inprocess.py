"""Section `inprocess`: processor time a request that protection adds to a FastAPI application served by Granian."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from lab.speed import servers
from lab.speed.figures import Advance, Section
from lab.speed.servers import Server, Shot
from lab.speed.settings import GET_TARGET, POST_BODY, POST_TARGET, install

ROUNDS = 5
SECONDS = 2
STEPS = ROUNDS
ADDS_US = 80.0


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("inprocess"), directory / "inprocess"
    installed = install(directory, "transport: {plain: loopback}\n")
    headers = {"Host": "api.example", "User-Agent": "python-httpx/0.28", "Accept": "application/json",
               "Accept-Encoding": "gzip, deflate", "X-API-Key": installed.keys["wide"]}  # fmt: skip
    shots = {
        "GET": Shot(GET_TARGET, headers),
        "JSON POST": Shot(POST_TARGET, {**headers, "Content-Type": "application/json"}, 200, "POST", POST_BODY),
    }
    with ExitStack() as stack:
        started = _start(section, installed.policy, directory, stack)
        spent: dict[tuple[str, str], list[float]] = {}
        for number in range(ROUNDS):
            for server in started:
                for kind, shot in shots.items():
                    us, _ = servers.cpu_us_each(server, shot, SECONDS, directory)
                    spent.setdefault((server.name, kind), []).append(us)
            advance(f"in process, round {number + 1} of {ROUNDS}")
    bases = {"FastAPI + Sallygate": "FastAPI", "FastAPI + fastapi-guard": "FastAPI beside it"}
    for kind in shots:
        for name, base in bases.items():
            if (name, kind) in spent:
                added = [one - other for one, other in zip(spent[name, kind], spent[base, kind], strict=True)]
                target = ADDS_US if name == "FastAPI + Sallygate" else None
                section.add(f"{name.partition(' + ')[2]} adds to a {kind}", "µs", added, target)
    for kind in shots:
        section.add(f"FastAPI alone, {kind}", "µs", spent["FastAPI", kind])
    return section


def _start(section: Section, policy: Path, directory: Path, stack: ExitStack) -> list[Server]:
    started = [
        stack.enter_context(servers.python_server("FastAPI", servers.free_port(), directory / "plain.log")),
        stack.enter_context(
            servers.python_server(
                "FastAPI + Sallygate", servers.free_port(), directory / "ours.log", POLICY=str(policy)
            )
        ),
    ]
    if not servers.LAB_PYTHON.is_file():
        section.notes.append("fastapi-guard is not installed: make lab-peers")
        return started
    for kind in ("FastAPI", "FastAPI + fastapi-guard"):
        log = directory / f"{kind.replace(' ', '')}-peer.log"
        server = stack.enter_context(servers.python_server(kind, servers.free_port(), log, servers.LAB_PYTHON))
        # Its environment is its own, so it is compared with FastAPI in that environment.
        name = "FastAPI beside it" if kind == "FastAPI" else kind
        started.append(Server(name, server.process, server.url))
    return started
