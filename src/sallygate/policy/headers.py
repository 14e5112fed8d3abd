"""Policy section `headers`: fields of the API's responses that are removed or set. Knows no response."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from sallygate.parsing.http.hop_fields import PER_HOP
from sallygate.policy.fields import ControlSection, FieldName, FieldValue, Section

_MESSAGE = PER_HOP | {"content-length", "content-type", "content-encoding", "content-range"}
"""How a response is sent, and how its body is read: responses are inspected as the API declares them."""
_GATE = frozenset("server x-request-id strict-transport-security ratelimit ratelimit-policy".split())
"""Fields that the gate writes into every response; removing them takes away those of the API alone."""


def _changed(name: str) -> str:
    if name.lower() in _MESSAGE:
        raise ValueError(f"`{name}` describes the framing of a response, which only the API may set; remove it")
    return name


def _set(name: str) -> str:
    if name.lower() in _GATE or name.lower().startswith("access-control-"):
        raise ValueError(f"`{name}` is set by the gate; use `transport.hsts` or `clients.cors` instead")
    return name


Changed = Annotated[FieldName, AfterValidator(_changed)]


class HeaderChanges(Section):
    """Changes to the header of a response."""

    remove: list[Changed] = Field([], description="Fields that are removed, `[X-Powered-By]`, in upper or lower case.")
    set: dict[Annotated[Changed, AfterValidator(_set)], FieldValue] = Field(
        {}, description="Fields with their values, `{Cache-Control: no-store}`, in the place of those of the same name."
    )

    @model_validator(mode="after")
    def _once(self) -> HeaderChanges:
        names = [name.lower() for name in (*self.remove, *self.set)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"has `{twice[0]}` twice; write it once, in `remove` or in `set`")
        return self


class Headers(ControlSection, HeaderChanges):
    """Fields of the API's responses, removed and set. What the gate itself answers stays as it is."""

    operations: dict[str, HeaderChanges] = Field(
        {}, description="Further changes by `operationId`; what is written here counts before what is written for all."
    )
