"""An engine over a policy, asked by words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sallygate.engine.engine import Engine
from sallygate.model.outcome import Admission, Refuse
from sallygate.offline.decide import Offline


@dataclass
class Bench:
    """An engine over a policy, asked by words."""

    offline: Offline
    key: str
    now: float = 1_790_000_000.0
    refusals: list[str] = field(default_factory=list)

    def head(
        self, target: str = "/things", method: str = "GET", key: str | None = "", client: str = "192.0.2.1", **more: Any
    ):
        path, _, query = target.partition("?")
        headers = [(b"host", b"api.example")]
        key = self.key if key == "" else key
        if key is not None:
            headers.append((b"x-api-key", key.encode()))
        headers += [(name.replace("_", "-").encode(), str(value).encode()) for name, value in more.items()]
        return self.offline.gate.reader.read(
            method=method, scheme="https", raw_path=path.encode(), raw_query=query.encode(), headers=tuple(headers),
            http_version="1.1", peer=client, request_id="0" * 32, now=self.now,
        )  # fmt: skip

    def admit(self, target: str = "/things", **more: Any):
        return self.offline.gate.engine.admit(self.head(target, **more), self.now)

    def call(self, target: str = "/things", **more: Any):
        """Admit, charge as Guard does, examine."""
        head = self.head(target, **more)
        outcome = self.offline.gate.engine.admit(head, self.now)
        for charge in getattr(outcome, "charges", ()):
            self.offline.state.tables[charge.table].take(charge.subject, self.now, charge.amount)
        if isinstance(outcome, Admission):
            examined = self.offline.gate.engine.examine(outcome, head, None)
            return examined if isinstance(examined, Refuse) else outcome
        return outcome


def code(outcome: Any) -> str:
    return outcome.decision.reasons[0] if outcome.decision.reasons else ""


def break_phase(engine: Engine, kind: type[Any], phase: str) -> None:
    """Make a control raise in one phase."""

    class Broken:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return _raising if name == phase else getattr(self.inner, name)

    engine.controls.put(kind, Broken(engine.controls.get(kind)))
    engine.compile()


def _raising(*_: object) -> None:
    raise ZeroDivisionError("boom")
