"""Fields of the policy that stay as they were until a restart."""

from __future__ import annotations

from sallygate.policy.load import Loaded


def restarts_needed(old: Loaded, new: Loaded) -> list[str]:
    """Names of the fields that a reload changed without effect."""
    before, after = old.policy, new.policy
    fixed = {
        "telemetry": (before.telemetry, after.telemetry),
        "events": (before.events, after.events),
        "log.format": (before.log.format, after.log.format),
        "log.level": (before.log.level, after.log.level),
    }
    return [name for name, (was, now) in fixed.items() if was != now]
