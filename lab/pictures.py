"""Makes the pictures of the documents: `python -m lab.pictures`. The program's own views over made-up calls and numbers."""

from __future__ import annotations

import io
import time
from collections import Counter, deque
from pathlib import Path

from rich.console import Console

from sallygate import __version__
from sallygate.cli import status
from sallygate.demo.run import _print_welcome, _view
from sallygate.model.decision import ALLOW, Decision
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.http.head import HeadReader
from sallygate.telemetry.status import Check, EventsState, ListenerStatus, Status, StoreState, UpstreamState

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
CALLS = [
    ("GET", "/products", "pro", "", 200, 2.1),
    ("GET", "/orders/17", "pro", "", 200, 1.4),
    ("GET", "/orders", "", "identity.missing", 401, 0.2),
    ("DELETE", "/orders", "pro", "clients.method", 405, 0.2),
    ("POST", "/orders", "partner", "contract.body", 422, 0.4),
    ("GET", "/users/me", "free", "limits.rate", 429, 0.2),
]


def exchange(method: str, path: str, plan: str, code: str, status: int, ms: float) -> Exchange:
    head = HeadReader().read(
        method=method, scheme="https", raw_path=path.encode(), raw_query=b"", headers=((b"host", b"a"),),
        http_version="1.1", peer="127.0.0.1", request_id="0" * 32, now=1_790_000_000.0,
    )  # fmt: skip
    verdict = "throttle" if status == 429 else "deny"
    decision = Decision(verdict, status, (Finding(code, "", status, verdict),)) if code else ALLOW
    who = Principal("key:x", "acct_0002", plan, frozenset(), "api_key") if plan else None
    return Exchange(head, decision, status, principal=who, took_us=int(ms * 1000))


def main() -> None:
    console = Console(record=True, width=110, emoji=False, file=io.StringIO(), force_terminal=True)
    ready = {
        "gateway": "https://127.0.0.1:8443",
        "upstream": "http://127.0.0.1:40281",
        "ca": "demo/certificates/ca.pem",
        "state_dir": "demo",
    }
    keys = {plan: f"sg_4KcVbW0R2ZqT_{plan}…" for plan in ("free", "pro", "partner")}
    _print_welcome(console, ready, keys)
    shown = [exchange(*call) for call in CALLS]
    console.print(_view(deque(shown), Counter(one.decision.verdict for one in shown)))
    OUT.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(OUT / "demo.svg"), title="make run")
    console = Console(record=True, width=110, emoji=False, file=io.StringIO(), force_terminal=True)
    show_status(console)
    console.save_svg(str(OUT / "status.svg"), title="sallygate status")


def show_status(console: Console) -> None:
    now = time.time()
    found = Status(
        version=__version__, pid=2917, shell="gateway", ready=True, draining=False, checks=(Check("policy", True),),
        started_at=now - 9 * 86400, policy="3f1c0d2ab47e", policy_file="/etc/sallygate/sallygate.yaml",
        policy_at=now - 2 * 86400, reloads=3, reloads_refused=0,
        listeners=(ListenerStatus("https", "0.0.0.0:443", now + 61 * 86400), ListenerStatus("management", "127.0.0.1:8444")),
        upstreams=(UpstreamState("http://127.0.0.1:9000", True, 18_204_113, 0),),
        stores=(StoreState("state", "/var/lib/sallygate/sallygate.db", 5_804_032, True, now),
                StoreState("events", "/var/lib/sallygate/events", 7_316_529_152, True, now)),
        events=EventsState(12, 20_000, 19_871_042, 0, 0, False), under_way=7, credentials=412, restrictions=3,
        counters={"address": 5_120, "plan:free:rate": 301, "plan:partner:rate": 12}, failures={}, clock_jumps=0,
        log_lines_lost=0, memory_bytes=171_966_464,
    )  # fmt: skip
    status.out, kept = console, status.out
    try:
        status.print_status(found)
    finally:
        status.out = kept


if __name__ == "__main__":
    main()
