"""File of a profile: structures that honest callers send to fields of an API, learnt by `sallygate profile`, for review.

It holds classes of structure and numbers, never values. A line that a reviewer takes out is not normal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from sallygate.policy.errors import PolicyError
from sallygate.policy.fields import Count, Section
from sallygate.policy.injection import InjectionFamily
from sallygate.policy.reading import Reader, read_bounded, read_mapping

PROFILE_BYTES_MAX = 4 << 20


class Normal(Section):
    """One structure that is normal for one field."""

    operation: str | None = Field(None, description="Operation of the contract.")
    path: str | None = Field(None, description="Path without a contract; `*` matches any text.", pattern="^/")
    field: str = Field(
        description="Field as findings name it; `*` matches any text.", pattern="^(query|header|cookie|path|body):"
    )
    family: InjectionFamily = Field(description="Family of the finding.")
    rule: str = Field(description="Rule of the finding.", pattern="^[a-z][a-z-]{1,40}$")
    requests: Count = Field(description="Requests with it.")
    callers: Count = Field(description="Callers who sent it.")
    of: Count = Field(description="Callers of the operation or path.")
    addresses: Count = Field(description="Networks it came from.")
    days: Count = Field(description="Days on which it came.")

    @model_validator(mode="after")
    def _one_place(self) -> Normal:
        if (self.operation is None) == (self.path is None):
            raise ValueError("write `operation` with a contract, or `path` without one")
        return self


class Profile(Section):
    """The whole file."""

    version: Annotated[Literal["1"], Field(description="The format of this file.")]
    normal: list[Normal] = Field([], description="Structures that are normal.")


def read_profile(file: Path) -> tuple[Profile, bytes]:
    """The profile and the bytes it is read from. Raises `PolicyError`."""
    reader = Reader(file)
    data = read_bounded(file, PROFILE_BYTES_MAX, "profile")
    value = read_mapping(reader, data)
    if value is not None:
        try:
            return Profile.model_validate(value), data
        except ValidationError as error:
            for one in error.errors(include_url=False):
                place = tuple(one["loc"])
                reader.say(place, "value", f"`{'.'.join(map(str, place))}`: {one['msg']}", "learn it again")
    raise PolicyError(reader.problems)
