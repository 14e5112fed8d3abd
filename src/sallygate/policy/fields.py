"""Field types of the policy: amounts, prefixes, modes, and the base of a section."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

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
    parse_prefix(text)
    return text.strip()


Prefix = Annotated[str, BeforeValidator(lambda value: _prefix(value) if isinstance(value, str) else value)]


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
"""RFC 9110, section 5.6.2. The longest registered name of a field has 40 characters."""
_VALUE = re.compile(r"[!-~](?:[\t -~]{0,4094}[!-~])?")
"""RFC 9110, section 5.5, ASCII alone. Without line breaks, so that no value begins another field or response."""


def _field_name(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a field name; write for example Cache-Control")
    return text


def _field_value(text: str) -> str:
    if _VALUE.fullmatch(text) is None:
        raise ValueError("not a field value; write printable ASCII in one line, of at most 4,096 characters")
    return text


FieldName = Annotated[str, AfterValidator(_field_name)]
FieldValue = Annotated[str, AfterValidator(_field_value)]
Mode = Literal["enforce", "shadow", "off"]


class Section(BaseModel):
    """Base of every section: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class ControlSection(Section):
    """What every control's section has."""

    mode: Mode = Field(
        "enforce",
        description="`enforce` refuses; `shadow` records findings and lets the request pass; `off` disables the control.",
    )
    on_error: Literal["deny", "allow"] = Field(
        "deny",
        description="Treatment of a request if the control itself fails: `deny` refuses the request, `allow` lets it pass.",
    )
