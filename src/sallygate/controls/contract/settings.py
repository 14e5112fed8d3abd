"""Settings of the contract control: the policy's values, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from sallygate.parsing.http.forms import PAIRS_MAX
from sallygate.parsing.http.multipart import PARTS_MAX

Undeclared = Literal["refuse", "ignore"]
Allowed = Literal["refuse", "allow"]


class ContractSettings(Struct, frozen=True):
    """Defaults refuse: what the document does not describe does not pass."""

    unknown_query: Undeclared = "refuse"
    """A query name no parameter declares."""
    unknown_fields: Undeclared = "refuse"
    """A member of a JSON object, form or multipart body that its schema does not declare, where it declares
    any."""
    undeclared_content: Undeclared = "refuse"
    """A body of a media type the operation does not list, or on an operation without one. Ignored means that the
    contract does not read it."""
    read_only: Undeclared = "refuse"
    """A property marked `readOnly` in a request."""
    nulls: Allowed = "refuse"
    """`null` for a property that is not required and whose schema does not take it: as if it were left out."""
    overlaps: Allowed = "refuse"
    """A value that fits several alternatives of a `oneOf`, as 3 fits `integer` and `number`."""
    body_bytes_max: int = 1024 * 1024
    """JSON, form and text bodies. What most servers take by default (nginx: 1 MiB)."""
    upload_bytes_max: int = 10 * 1024 * 1024
    """Multipart and binary bodies, which carry files."""
    bytes_max_by_operation: Mapping[str, int] = {}
    """Operation → its own limit, whatever the kind of body."""
    by_operation: Mapping[str, ContractSettings] = {}
    """Operation → its own settings, instead of these. The limits of bodies are the same for all."""
    json_depth_max: int = 32
    """See `parsing.jsontext.DEPTH_MAX`."""
    form_pairs_max: int = PAIRS_MAX
    parts_max: int = PARTS_MAX
    formats: bool = True
    """Whether `format` is checked: `date-time`, `uuid`, `email`, `int32` and the like."""


PASSED_BY: Mapping[tuple[str, str], tuple[str, str]] = {
    ("contract.query_unknown", ""): ("unknown_query", "ignore"),
    ("contract.content_type", ""): ("undeclared_content", "ignore"),
    ("contract.body_unexpected", ""): ("undeclared_content", "ignore"),
    ("contract.body", "additionalProperties"): ("unknown_fields", "ignore"),
    ("contract.body", "readOnly"): ("read_only", "ignore"),
    ("contract.body", "nullable"): ("nulls", "allow"),
    ("contract.body", "oneOf"): ("overlaps", "allow"),
}
"""(code of a finding, its rule, or empty for any) → the setting and the value of it that let the request pass."""


def passed_by(code: str, rule: str) -> tuple[str, str]:
    """Setting and value that let what was found pass; empty for what no setting covers."""
    return PASSED_BY.get((code, rule)) or PASSED_BY.get((code, "")) or ("", "")
