"""Policy section `contract`: how strictly the OpenAPI document is read, for all operations and for one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sallygate.model.finding import Mode
from sallygate.policy.fields import Bytes, ControlSection, Section

Undeclared = Literal["refuse", "ignore"]
Allowed = Literal["refuse", "allow"]


class ContractSection(ControlSection):
    """What the OpenAPI document allows."""

    unknown_query: Undeclared = Field("refuse", description="Query parameters that the document lacks.")
    unknown_fields: Undeclared = Field(
        "refuse", description="Body fields that the document lacks, in objects with declared fields."
    )
    undeclared_content: Undeclared = Field(
        "refuse",
        description="Media types that the document lacks. Bodies of ignored ones are not compared with the document; `injection` inspects them all the same.",
    )
    read_only: Undeclared = Field("refuse", description="`readOnly` properties in requests.")
    nulls: Allowed = Field(
        "refuse",
        description="`null` for a body field whose document does not declare it, unless the schema that declares the field also requires it.",
    )
    overlaps: Allowed = Field(
        "refuse",
        description="Values that fit several alternatives of a `oneOf`, as 3 fits `integer` and `number`.",
    )
    overlay: str | None = Field(
        None,
        description="File with changes of the document (OpenAPI Overlay 1.0), relative to this one; the document itself stays as it is.",
    )
    base_path: str | None = Field(
        None,
        description="Prefix of every path of the document, instead of its `servers`' path; `/` is no prefix.",
        pattern="^/",
    )
    body: Bytes = Field(4 << 20, description="Largest JSON, form or text body, unless the operation says otherwise.")
    upload: Bytes = Field(
        32 << 20,
        description="Largest multipart or binary body, unless the operation says otherwise.",
    )
    json_depth: Annotated[int, Field(ge=1, le=200)] = Field(32, description="Deepest nesting of a JSON body.")


class OperationContract(Section):
    """How strictly the document is read for one operation. An absent field is as in `contract`."""

    mode: Mode | None = Field(None, description="`shadow` records and refuses nothing; `off` does not look.")
    unknown_query: Undeclared | None = Field(None, description="Query parameters that the document lacks.")
    unknown_fields: Undeclared | None = Field(None, description="Body fields that the document lacks.")
    undeclared_content: Undeclared | None = Field(None, description="Media types that the document lacks.")
    read_only: Undeclared | None = Field(None, description="`readOnly` properties in requests.")
    nulls: Allowed | None = Field(None, description="`null` for a body field that is not required.")
    overlaps: Allowed | None = Field(None, description="Values that fit several alternatives of a `oneOf`.")
