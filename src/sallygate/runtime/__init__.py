"""Composition root: builds everything else from a policy; owns clock, randomness, reload and background work.

`Guard` and `Runtime` are loaded when they are asked for: `sallygate keys` should not wait for a web server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Guard", "Runtime"]

if TYPE_CHECKING:
    from sallygate.runtime.in_process import Guard
    from sallygate.runtime.runtime import Runtime


def __getattr__(name: str) -> Any:  # Any: the module attribute protocol (PEP 562)
    if name == "Guard":
        from sallygate.runtime.in_process import Guard

        return Guard
    if name == "Runtime":
        from sallygate.runtime.runtime import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
