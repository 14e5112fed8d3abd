"""Sallygate: protection for API endpoints, as a gateway or inside an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sallygate.version import __version__

__all__ = ["Guard", "__version__", "passwords"]

if TYPE_CHECKING:
    from sallygate.runtime import Guard
    from sallygate.security import passwords


def __getattr__(name: str) -> Any:  # Any: the module attribute protocol (PEP 562)
    # Loaded on first use, so that `sallygate --help` does not pay for a web server.
    if name == "Guard":
        from sallygate.runtime import Guard

        return Guard
    if name == "passwords":
        from sallygate.security import passwords

        return passwords
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
