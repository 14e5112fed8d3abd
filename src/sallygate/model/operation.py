"""Operation: a method and path of the API, as its OpenAPI document describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Schema = Mapping[str, object] | bool
"""A JSON Schema as written in the document, `$ref` not followed."""


class Parameter(Struct, frozen=True):
    """One declared parameter (OpenAPI 3.1.1, section 4.8.12)."""

    name: str
    place: Literal["path", "query", "header", "cookie"]
    required: bool
    style: str
    """`simple`, `label`, `matrix`, `form`, `spaceDelimited`, `pipeDelimited`, `deepObject`; or `content` for a
    parameter given as a media type, JSON in practice."""
    explode: bool
    schema: Schema
    pointer: str
    """JSON pointer of `schema` in the document."""
    allow_empty: bool = False


class MediaType(Struct, frozen=True):
    """One entry of a request body's `content`."""

    name: str
    """As the document writes it, lower case, without parameters; may end in `/*`."""
    schema: Schema | None
    pointer: str
    """JSON pointer of `schema` in the document."""
    encoding: Mapping[str, Mapping[str, object]]


class Operation(Struct, frozen=True):
    """One operation of the API, everything about it that can be known before a request."""

    id: str
    """`operationId`, or `METHOD /path` when the document gives none."""
    method: str
    path: str
    """The template, `/orders/{orderId}`."""
    security: tuple[Mapping[str, tuple[str, ...]], ...] | None
    """Alternatives of scheme → scopes; an empty tuple: the document says it needs none; None: it is silent."""
    parameters: tuple[Parameter, ...]
    body: tuple[MediaType, ...]
    """Empty when the operation takes no body."""
    body_required: bool
    internal: bool
    """Marked `x-internal: true`: kept out of the public view of the specification."""
    resource: str
    """The collection its objects belong to: the last fixed segment of the path, `orders`."""
    object_names: Mapping[str, str]
    """Names that carry ids in this operation's path, query, body or answer → their collection
    (`orderId` → `orders`, `id` → `resource`)."""
    base_paths: tuple[str, ...] = ("",)
    """What stands in front of the path, one for each server."""
    admits_locations: bool = False
    """Of `/auth`: called from locations that are not admitted yet."""


class Match(Struct, frozen=True, gc=False):
    """Where a path and method lead."""

    operation: Operation | None
    """None when the path is known and the method is not."""
    path_values: tuple[tuple[str, str], ...]
    """Name and percent-decoded value of each template expression."""
    allow: tuple[str, ...]
    """The methods this path has."""
