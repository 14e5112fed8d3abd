"""What the policy's types are made of: amounts as people write them, prefixes, modes, and the shape of a section."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from sallygate.parsing.addresses import parse_prefix
from sallygate.policy.units import Budget, Rate, read_budget, read_bytes, read_duration_s, read_rate


def _written(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "integer"], "examples": [example]})


def _read(read: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


_AS_WRITTEN = PlainSerializer(lambda amount: getattr(amount, "text", None), return_type=str | None)
Seconds = Annotated[float, _read(read_duration_s), _written("30s")]
Bytes = Annotated[int, _read(read_bytes), _written("1MiB")]
RateText = Annotated[Rate, _read(read_rate), _written("10/s burst 20"), _AS_WRITTEN]
ByteBudget = Annotated[Budget, _read(lambda text: read_budget(text, of_bytes=True)), _written("50MB/day"), _AS_WRITTEN]
RecordBudget = Annotated[
    Budget, _read(lambda text: read_budget(text, of_bytes=False)), _written("10000/day"), _AS_WRITTEN
]
Count = Annotated[int, Field(ge=1)]


def _prefix(text: str) -> str:
    try:
        parse_prefix(text)
    except ValueError as error:
        raise ValueError(f"not an address or prefix ({error}); write for example 192.0.2.0/24") from None
    return text.strip()


Prefix = Annotated[str, BeforeValidator(lambda value: _prefix(value) if isinstance(value, str) else value)]
Mode = Literal["enforce", "shadow", "off"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class ControlSection(Section):
    """What every control's section has."""

    mode: Mode = Field(
        "enforce",
        description="`shadow` records what it would have done and lets the request pass; `off` does not look.",
    )
    on_error: Literal["deny", "allow"] = Field(
        "deny",
        description="What happens to a request when the control itself fails: it is refused, unless this says otherwise.",
    )
