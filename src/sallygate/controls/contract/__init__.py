"""Control of the contract: refuses what the API's OpenAPI document does not describe.

**Threat.** Injection of fields and parameters nobody declared (mass assignment, OWASP API3), values outside
their type, range or form, parameter pollution, bodies of an unexpected kind, and the cost of parsing any of
it upstream (API4, API8).

**Evidence.** Findings `contract.parameter`, `.parameter_repeated`, `.query_unknown` (400), `.content_type`,
`.body_unexpected` (415), `.body_size` (413), `.body_missing` (400), `.body` (422), each with the place and
the schema keyword, never with a value. At most ten a request.

**Known bypasses.** What the document leaves free is free: objects without properties, strings without a
pattern, undeclared headers and cookies. XML, multipart other than form-data and binary bodies are metered,
not read. A value that fits two alternatives of `oneOf` only through undeclared members is taken as fitting
one.

**Cost.** 1.7 µs for two query parameters, 1.2 µs for a JSON body of ten members, which takes 1.5 µs to parse.
Compiling takes 0.05 s for a document of 760 operations, 0.5 s for one of 400 whose schemas all lead to each
other. Nothing is compiled, cached or grown while requests are judged."""

from __future__ import annotations

from sallygate.controls.contract.compiled import Contract
from sallygate.controls.contract.control import ContractControl, contract_settings
from sallygate.controls.contract.settings import ContractSettings

__all__ = ["Contract", "ContractControl", "ContractSettings", "contract_settings"]
