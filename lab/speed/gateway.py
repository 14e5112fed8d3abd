"""Section `gateway`: processor time a request of the whole gateway process, beside proxies that protect less or more.

All speak TLS with the same certificate to the same wrk and plain HTTP to the same upstream, one after the other, in
rounds, so that what disturbs the machine disturbs all of them.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from lab.speed import servers
from lab.speed.figures import Advance, Section
from lab.speed.servers import Missing, Server, Shot
from lab.speed.settings import ANSWER, GET_TARGET, POST_BODY, POST_TARGET, install
from sallygate.security.certificates import development_certificate

ROUNDS = 5
SECONDS = 2
STEPS = ROUNDS
RATIO, WAF_RATIO, REFUSAL = 1.6, 1 / 5, 1 / 3


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("gateway"), directory / "gateway"
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        proxies, keys = _start(section, directory, stack)
        get, post, refusals = _shots(keys)
        servers.ask(proxies[0], refusals["over the limit"])  # which uses it up
        spent: dict[tuple[str, str], list[float]] = {}
        rates: list[float] = []
        for number in range(ROUNDS):
            for server in proxies:
                for kind, shot in (("GET", get), ("JSON POST", post)):
                    us, rate = servers.cpu_us_each(server, shot, SECONDS, directory)
                    spent.setdefault((server.name, kind), []).append(us)
                    if server.name == "Sallygate" and kind == "GET":
                        rates.append(rate)
            for name, shot in refusals.items():
                us, _ = servers.cpu_us_each(proxies[0], shot, SECONDS, directory)
                spent.setdefault((name, "refusal"), []).append(us)
            advance(f"gateway, round {number + 1} of {ROUNDS}")
    _report(section, proxies, refusals, spent, rates)
    return section


def _start(section: Section, directory: Path, stack: ExitStack) -> tuple[list[Server], dict[str, str]]:
    cert, key, _ = development_certificate(directory / "certificates", "127.0.0.1", time.time())
    upstream = _upstream(section, directory, stack)
    port = servers.free_port()
    more = (
        f"upstream: http://127.0.0.1:{upstream}\nlisten: {{https: 127.0.0.1:{port}, "
        f"certificate: {{cert: {cert}, key: {key}}}}}\n"
    )
    installed = install(directory / "policy", more)
    url = f"http://127.0.0.1:{upstream}"
    tls = (cert, key)
    wanted: list[tuple[str, AbstractContextManager[Server]]] = [
        ("Sallygate", servers.gateway(installed.policy, port, directory / "gateway.log")),
        ("bare proxy", servers.python_server("bare proxy", servers.free_port(), directory / "bare.log", tls=True,
                                             UPSTREAM=url, CERT=str(cert), KEY=str(key))),
    ]  # fmt: skip
    started = [stack.enter_context(made) for _, made in wanted]
    for start in (
        lambda: servers.nginx("nginx", directory / "nginx", servers.free_port(), upstream=upstream, tls=tls),
        lambda: servers.envoy(directory / "envoy", servers.free_port(), upstream, tls),
        lambda: servers.nginx("nginx + ModSecurity + CRS", directory / "waf", servers.free_port(), upstream=upstream,
                              tls=tls, waf=True),
    ):  # fmt: skip
        try:
            started.append(stack.enter_context(start()))
        except Missing as missing:
            section.notes.append(str(missing))
    return started, installed.keys


def _upstream(section: Section, directory: Path, stack: ExitStack) -> int:
    port = servers.free_port()
    try:
        stack.enter_context(servers.nginx("upstream", directory / "upstream", port, answer=ANSWER))
    except Missing:
        section.notes.append("The upstream is a Python application, since nginx is not installed: rates are lower.")
        stack.enter_context(servers.python_server("upstream", port, directory / "upstream.log"))
    return port


def _shots(keys: dict[str, str]) -> tuple[Shot, Shot, dict[str, Shot]]:
    common = {"Host": "api.example", "User-Agent": "python-httpx/0.28", "Accept": "application/json",
              "Accept-Encoding": "gzip, deflate"}  # fmt: skip
    wide, used = {**common, "X-API-Key": keys["wide"]}, {**common, "X-API-Key": keys["used"]}
    get = Shot(GET_TARGET, wide)
    post = Shot(POST_TARGET, {**wide, "Content-Type": "application/json"}, method="POST", body=POST_BODY)
    refusals = {
        "no key": Shot(GET_TARGET, common, 401),
        "wrong method": Shot(GET_TARGET, wide, 405, "PUT"),
        "over the limit": Shot(GET_TARGET, used, 429),
    }
    return get, post, refusals


def _report(
    section: Section,
    proxies: list[Server],
    refusals: dict[str, Shot],
    spent: dict[tuple[str, str], list[float]],
    rates: list[float],
) -> None:
    for kind in ("GET", "JSON POST"):
        ours, bare = spent["Sallygate", kind], spent["bare proxy", kind]
        ratios = [one / other for one, other in zip(ours, bare, strict=True)]
        section.add(f"Sallygate against the bare proxy, {kind}", "×", ratios, RATIO)
    waf = spent.get(("nginx + ModSecurity + CRS", "JSON POST"))
    if waf is not None:
        ratios = [one / other for one, other in zip(spent["Sallygate", "JSON POST"], waf, strict=True)]
        section.add("Sallygate against nginx + ModSecurity + CRS, JSON POST", "×", ratios, WAF_RATIO)
    for server in proxies:
        for kind in ("GET", "JSON POST"):
            section.add(f"{server.name}, {kind}", "µs", spent[server.name, kind])
    for name in refusals:
        pairs = zip(spent[name, "refusal"], spent["Sallygate", "GET"], strict=True)
        note = f"{spent[name, 'refusal'][0]:.0f} µs"
        section.add(f"refusal on the wire, {name}, share of a passed GET", "×", [a / b for a, b in pairs], REFUSAL,
                    note=note)  # fmt: skip
    section.add("GETs served beside wrk and the upstream", "1/s", rates)
