"""Largest request body where no contract gives a limit, as the policy has it."""

from __future__ import annotations

from sallygate.policy.schema import Limits, Policy


def body_bytes_max(policy: Policy) -> int:
    """Bytes; the default of `limits.body` where the policy has no section `limits`."""
    return (policy.limits or Limits()).body
