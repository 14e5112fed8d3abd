"""Control of the contract: its policy section, its phases, and its construction. `Contract` validates."""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from sallygate.controls.contract.compiled import Contract
from sallygate.controls.contract.settings import ContractSettings
from sallygate.model.control import Phase
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.request import EMPTY_BODY, BodyPlan
from sallygate.parsing.http.body import STREAM_BYTES_MAX, parse_body, plain_body, with_coding
from sallygate.policy.request_limits import body_bytes_max, body_limits
from sallygate.policy.schema import Policy
from sallygate.state.parts import Parts


class ContractControl:
    """What the API's own OpenAPI document does not describe is refused."""

    name: ClassVar = "contract"
    section: ClassVar = "contract"

    def __init__(self, contract: Contract, bytes_max: int = STREAM_BYTES_MAX) -> None:
        """`bytes_max` is the largest body in shadow where enforced it would be refused."""
        self.contract = contract
        self._unplanned = BodyPlan("stream", bytes_max=bytes_max, over="limits.body_size", limit="limits.body")

    @classmethod
    def build(cls, parts: Parts) -> ContractControl:
        """The control of a policy. Raises `OpenAPIError` for schemas that do not compile."""
        loaded = parts.loaded
        assert loaded.document is not None
        settings = contract_settings(loaded.policy)
        return cls(Contract(loaded.document, loaded.operations, settings), body_bytes_max(loaded.policy))

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """To operations of the contract."""
        return operation is not None

    def plan(self, evaluation: Evaluation) -> Judgement:
        """How the body is to be read, from the head alone; or why it is not going to be."""
        operation, head = evaluation.operation, evaluation.head
        assert operation is not None
        plan = self.contract.plan_body(operation, head)
        if isinstance(plan, Finding):
            return Judgement((plan,), body=self._unplanned)
        coded = with_coding(plan, head)
        return Judgement((coded,), body=plan) if isinstance(coded, Finding) else Judgement(body=coded)

    def examine(self, evaluation: Evaluation) -> Judgement | None:
        """What is wrong with parameters and body."""
        operation, raw, body = evaluation.operation, evaluation.raw, EMPTY_BODY
        assert operation is not None
        if raw is not None:
            plain = plain_body(evaluation.body_plan, raw)
            parsed = (
                plain if isinstance(plain, Finding) else parse_body(evaluation.body_plan, plain, self.contract.limits)
            )
            if isinstance(parsed, Finding):
                return Judgement((parsed,))
            body = parsed
        findings = self.contract.judge(operation, evaluation.head, evaluation.path_values, body)
        return Judgement(findings, parsed=body) if findings or raw is not None else None


def contract_settings(policy: Policy) -> ContractSettings:
    """What a policy changes about its contract."""
    section, limits = policy.contract, body_limits(policy)
    settings = ContractSettings(
        **{name: getattr(section, name) for name in _STRICTNESS},
        body_bytes_max=section.body,
        json_depth_max=limits.json_depth_max,
        form_pairs_max=limits.form_pairs_max,
        parts_max=limits.parts_max,
        bytes_max_by_operation={name: part.body for name, part in policy.operations.items() if part.body},
        upload_bytes_max=section.upload,
    )
    own = {name: part.contract for name, part in policy.operations.items() if part.contract is not None}
    changed = {
        name: replace(settings, **{word: value for word in _STRICTNESS if (value := getattr(part, word)) is not None})
        for name, part in own.items()
    }
    return replace(settings, by_operation=changed)


_STRICTNESS = ("unknown_query", "unknown_fields", "undeclared_content", "read_only", "nulls", "overlaps")
"""What the policy may say for all operations and for one."""
