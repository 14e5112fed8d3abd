"""Control of response header fields: removes and sets fields by operation.

Threat: a response that names its software, or that a cache keeps or another site embeds (OWASP API8).
Evidence: none; a changed field is no finding. Known bypasses: the same words in a body, or in a field of another name.
Cost: one look-up; what is changed is computed at load time.
"""

from __future__ import annotations

from typing import ClassVar

from sallygate.model.control import Everywhere
from sallygate.model.evaluation import Evaluation
from sallygate.model.judgement import Judgement
from sallygate.policy.headers import HeaderChanges, Headers
from sallygate.state.parts import Parts


class HeadersControl(Everywhere):
    """Removal and setting of response header fields."""

    name: ClassVar = "headers"
    section: ClassVar = "headers"

    def __init__(self, section: Headers) -> None:
        self._everywhere = _changes(section)
        self._by_operation = {name: _changes(section, own) for name, own in section.operations.items()}

    @classmethod
    def build(cls, parts: Parts) -> HeadersControl:
        """The control of a policy."""
        section = parts.sections[cls.section]
        assert isinstance(section, Headers)
        return cls(section)

    def release(self, evaluation: Evaluation) -> Judgement | None:
        """The changes, which are the same for every response of an operation."""
        operation = evaluation.operation
        return self._by_operation.get(operation.id, self._everywhere) if operation is not None else self._everywhere


def _changes(*sections: HeaderChanges) -> Judgement | None:
    """The later section counts. None where there is nothing to change."""
    values: dict[bytes, bytes | None] = {}
    for section in sections:
        values.update((name.lower().encode(), None) for name in section.remove)
        values.update((name.lower().encode(), value.encode()) for name, value in section.set.items())
    headers = tuple((name, value) for name, value in values.items() if value is not None)
    return Judgement(headers=headers, drop_headers=frozenset(values)) if values else None
