"""The other protection of the evaluation: what it answers is counted; where it is not installed, that is said."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab.injection import peer, requests
from lab.injection.suites import Case
from lab.speed import servers

from patience import patient

CASES = [
    Case("plain", requests.get("/a", "b=c"), False),
    Case("script", requests.in_form("<script>go(1)</script>"), False),
    Case("broken", requests.get("/a", "b", (b"x-broken", b"1")), False),
]


def _answers(judge: Callable[[bytes], bytes]) -> Any:
    """A stand-in for nginx: answers each request with the status `judge` says; without a WAF, 200."""

    @contextmanager
    def started(name: str, directory: Path, port: int, *, waf: bool = False, **_: object) -> Iterator[None]:
        def serve() -> None:
            while True:
                try:
                    wire, _ = listener.accept()
                except OSError:
                    return
                with wire:
                    said = judge(wire.recv(65536)) if waf else b"200"
                    wire.sendall(b"HTTP/1.1 " + said + b" x\r\n\r\n" if said else b"")

        with socket.create_server(("127.0.0.1", port)) as listener:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join(patient(10))

    return started


def _rules(request: bytes) -> bytes:
    return b"" if b"x-broken" in request else b"403" if b"script%3E" in request else b"200"


def test_what_it_answers_with_403_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "nginx", _answers(_rules))
    asked: list[int] = []
    assert peer.refused(CASES, asked.append) == {"script"}
    assert len(asked) == len(CASES)


def test_one_whose_rules_are_not_in_force_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "nginx", _answers(lambda _: b"200"))
    with pytest.raises(RuntimeError, match="rules are not in force"):
        peer.refused(CASES, lambda _: None)


def test_where_it_is_not_installed_the_message_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise servers.Missing("nginx is not installed: make lab-peers")

    monkeypatch.setattr(servers, "nginx", missing)
    with pytest.raises(servers.Missing, match="make lab-peers"):
        peer.refused(CASES, lambda _: None)
