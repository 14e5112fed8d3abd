"""Endpoints of `/auth` (access codes, tokens, locations), as an ASGI application that Guard calls behind the same
controls as the API.

Knows neither the API nor how a request got here. What it refuses it says in the field's own form (RFC 6749, section
5.2); why, it tells the event.
"""

from __future__ import annotations

from sallygate.auth.app import AuthApp
from sallygate.auth.routes import auth_operations

__all__ = ["AuthApp", "auth_operations"]
