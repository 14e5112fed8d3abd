"""Guided demonstration: the sample API, the gateway in front of it, keys for three plans, a live view of decisions."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import ExitStack, suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sallygate.admin.keys import Administration
from sallygate.demo.data import DEMO_ACCOUNTS
from sallygate.model.exchange import Exchange
from sallygate.model.finding import COLOURS
from sallygate.parsing.printable import printable
from sallygate.ports import StoreError
from sallygate.runtime.gateway import Gateway
from sallygate.security.key_ring import KeyRing
from sallygate.services.injection_patterns import fill_cache, kept_prefilter
from sallygate.stores.sqlite.opening import open_store
from sallygate.telemetry.compilation import on_standard_error
from sallygate.telemetry.log import open_log

READY_S = 15.0
SHOWN = 12
"""Decisions in the live view: a terminal of 40 lines holds them and the table above."""
NOTE = "demonstration"
SAMPLE_API_NEEDS = ("starlette", "python_multipart")
"""Modules of the extra `demo`."""


def run_demo(state_dir: Path | None, port: int, json: bool) -> None:
    """Runs until Ctrl-C or SIGTERM, then stops everything it started. Raises `StoreError` when it cannot start."""
    if not all(map(find_spec, SAMPLE_API_NEEDS)):
        raise StoreError("the sample API needs packages that are not installed; pip install 'sallygate[demo]'")
    with ExitStack() as stack:
        if state_dir is None:
            state_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sallygate-demo-")))
        state_dir = state_dir.resolve()
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            upstream_port, port = _free_port(0), _free_port(port)
            _write_files(state_dir, upstream_port, port)
        except OSError as error:
            raise StoreError(f"{state_dir}: cannot be written: {error.strerror}; choose another --state-dir") from None
        api = _start_api(stack, upstream_port, state_dir / "shop.db")
        _compile_patterns()
        gateway = Gateway(state_dir / "sallygate.yaml", open_log(quiet=True))
        uvloop.run(_serve(gateway, state_dir, f"http://127.0.0.1:{upstream_port}", json, api))


def _free_port(wanted: int) -> int:
    """`wanted` when it can be had, else one that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StoreError("127.0.0.1: no port is free")


def _write_files(state_dir: Path, upstream_port: int, port: int) -> None:
    package = files("sallygate.demo")
    policy = (package / "policy.yaml").read_text("utf-8")
    policy = policy.format(upstream=f"http://127.0.0.1:{upstream_port}", port=port)
    (state_dir / "sallygate.yaml").write_text(policy, "utf-8")
    (state_dir / "openapi.yaml").write_bytes((package / "openapi.yaml").read_bytes())


def _start_api(stack: ExitStack, port: int, database: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sallygate.demo.serve", str(port), str(database)]
    # In a session of its own: Ctrl-C is the gateway's, which then closes the API's standard input.
    api = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 (our own module)
    stack.callback(_end_api, api)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if api.poll() is not None:
            raise StoreError(f"the sample API ended at once with status {api.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return api
        time.sleep(0.02)
    raise StoreError(f"the sample API does not answer on port {port} after {READY_S:.0f} s")


def _end_api(api: subprocess.Popen[bytes]) -> None:
    if api.stdin is not None:
        api.stdin.close()  # which the API ends by if this process is killed; a copy Granian holds keeps it open here
    api.terminate()
    try:
        api.wait(10)
    except subprocess.TimeoutExpired:
        api.kill()
        api.wait()


def _compile_patterns() -> None:
    """Once for this user, with its progress: the gate's log is quiet."""
    if kept_prefilter(None) is None:
        with suppress(StoreError):  # without a cache the gate compiles them into its state directory
            fill_cache(on_standard_error)


async def _serve(gateway: Gateway, state_dir: Path, upstream: str, json: bool, api: subprocess.Popen[bytes]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    keys = _make_keys(gateway)
    await gateway.start()
    try:
        ready: dict[str, object] = {"gateway": gateway.url, "ca": str(gateway.ca), "upstream": upstream, "keys": keys,
                 "state_dir": str(state_dir)}  # fmt: skip
        if json:
            sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
            sys.stdout.flush()
            await _wait(ended, api)
        else:
            await _show(gateway, ready, keys, ended, api)
    finally:
        await gateway.stop()


async def _wait(ended: asyncio.Event, api: subprocess.Popen[bytes]) -> None:
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), 1.0)
        except TimeoutError:
            if api.poll() is not None:
                raise StoreError(f"the sample API ended with status {api.returncode}") from None


def _make_keys(gateway: Gateway) -> dict[str, str]:
    """A key a plan. Those of a former demonstration in the same directory are revoked: nobody has them any more."""
    installation = gateway.runtime.installation
    store = open_store(installation)
    try:
        admin = Administration(store, KeyRing(installation.pepper()), "demo")
        for key in admin.all_keys():
            if key.note == NOTE:
                admin.revoke_key(key.id)
        return {plan: admin.create_key(account, plan, note=NOTE)[1] for plan, account in DEMO_ACCOUNTS.items()}
    finally:
        store.close()


async def _show(
    gateway: Gateway,
    ready: dict[str, object],
    keys: dict[str, str],
    ended: asyncio.Event,
    api: subprocess.Popen[bytes],
) -> None:
    console = Console(emoji=False)
    _print_welcome(console, ready, keys)
    recent: deque[Exchange] = deque(maxlen=SHOWN)
    counts: Counter[str] = Counter()

    def watch(exchange: Exchange) -> None:
        recent.append(exchange)
        counts[exchange.decision.verdict] += 1

    gateway.runtime.sinks.watch(watch)
    with Live(_view(recent, counts), console=console, refresh_per_second=4, transient=False) as live:
        while not ended.is_set():
            live.update(_view(recent, counts))
            try:
                await asyncio.wait_for(ended.wait(), 0.25)
            except TimeoutError:
                if api.poll() is not None:
                    raise StoreError(f"the sample API ended with status {api.returncode}") from None
    console.print("stopping …")


def _print_welcome(console: Console, ready: dict[str, object], keys: dict[str, str]) -> None:
    table = Table(title="Sallygate demonstration", title_justify="left", show_header=False)
    table.add_row("gateway", str(ready["gateway"]))
    table.add_row("sample API", f"{ready['upstream']} (what the gateway protects)")
    table.add_row("certificate authority", str(ready["ca"]))
    table.add_row("policy and state", str(ready["state_dir"]))
    console.print(table)
    for plan, key in keys.items():  # outside the table, so that each can be copied from one line
        console.print(f"key, plan {plan}: [cyan]{key}[/cyan]", highlight=False, soft_wrap=True)
    curl, url = f"curl --cacert {ready['ca']}", ready["gateway"]
    lines = [
        ("the public operation", f"{curl} {url}/status"),
        ("without a key: 401", f"{curl} -i {url}/orders"),
        ("with one", f"{curl} -H 'X-API-Key: {keys['pro']}' '{url}/products?search=lamp&limit=3'"),
        ("not what the contract asks for: 400", f"{curl} -H 'X-API-Key: {keys['pro']}' '{url}/orders?limit=-1'"),
        ("a wrong method: 405", f"{curl} -i -X DELETE -H 'X-API-Key: {keys['pro']}' {url}/orders"),
        ("beyond the free plan: 429", f"for i in $(seq 100); do {curl} -so /dev/null -w '%{{http_code}} ' "
                                      f"-H 'X-API-Key: {keys['free']}' {url}/users/me; done"),
    ]  # fmt: skip
    console.print("\nTry, in another terminal:\n")
    for title, line in lines:
        console.print(f"[dim]# {title}[/dim]", highlight=False)
        console.print(escape(line), highlight=False, soft_wrap=True)
    console.print("\nCtrl-C stops everything.\n")


def _view(recent: deque[Exchange], counts: Counter[str]) -> Group:
    table = Table("time", "decision", "status", "request", "who", "why", "ms", expand=True)
    for exchange in recent:
        head, decision = exchange.head, exchange.decision
        colour = COLOURS[decision.verdict]
        who = f"{exchange.principal.account} ({exchange.principal.plan})" if exchange.principal else head.client_address
        table.add_row(
            time.strftime("%H:%M:%S", time.localtime(head.received_at)),
            f"[{colour}]{decision.verdict}[/{colour}]",
            str(exchange.status),
            escape(printable(f"{head.method} {head.path}"[:60])),
            escape(printable(who)),
            escape(" ".join(finding.code for finding in decision.findings)),
            f"{exchange.took_us / 1000:.1f}",
        )
    total = "  ".join(f"[{COLOURS[name]}]{name} {number:,}[/{COLOURS[name]}]" for name, number in counts.most_common())
    return Group(table, Text.from_markup(total or "[dim]waiting for requests[/dim]"))
