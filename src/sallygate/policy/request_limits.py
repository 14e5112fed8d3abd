"""Limits of requests as the policy has them, in the form that the readers take."""

from __future__ import annotations

from sallygate.parsing.http.body import BodyLimits
from sallygate.parsing.http.head import HeadLimits
from sallygate.policy.schema import Limits, Policy


def body_bytes_max(policy: Policy) -> int:
    """Bytes of the largest body where no contract gives a limit."""
    return _section(policy).body


def head_limits(policy: Policy) -> HeadLimits:
    """Limits of request heads."""
    section = _section(policy)
    return HeadLimits(section.target, section.header_fields, section.header_bytes, section.query_fields)


def body_limits(policy: Policy) -> BodyLimits:
    """Limits of forms and multipart bodies, and of the nesting that the contract allows."""
    section = _section(policy)
    return BodyLimits(policy.contract.json_depth, section.form_fields, section.parts)


def _section(policy: Policy) -> Limits:
    """The defaults where the policy has no section `limits`."""
    return policy.limits or Limits()
