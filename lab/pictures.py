"""Makes the pictures of the documents: `python -m lab.pictures`. The demonstration's own view over made-up calls."""

from __future__ import annotations

import io
from collections import Counter, deque
from pathlib import Path

from rich.console import Console

from sallygate.demo.run import _print_welcome, _view
from sallygate.model.decision import ALLOW, Decision
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.head import HeadReader

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


if __name__ == "__main__":
    main()
