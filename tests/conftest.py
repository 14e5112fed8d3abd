"""Makes the modules of this directory (`contract_harness` and the like) importable from every test below
it; and keeps the compiled patterns of injection for all sessions and workers."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

import patterns
from sallygate.engine.evaluation import PARTS, Judge, OpenEvaluation
from sallygate.model.judgement import Judgement

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a loaded machine an example takes as long as it takes."""
settings.load_profile("any machine")


class LostPart(BaseException):
    """Not an `Exception`: that would be a control that failed, which the engine answers for."""


def _take_strictly(evaluation: OpenEvaluation, judge: Judge, judgement: Judgement) -> bool:
    """A part of a judgement that its phase does not take is a mistake of the control."""
    said = {name for name, default in _NOTHING.items() if getattr(judgement, name) != default}
    lost = said - PARTS[judge.phase] - {"findings", "charges", "headers", "answer_at"}
    if lost:
        raise LostPart(f"{judge.control} says {sorted(lost)} in `{judge.phase}`, where nothing takes it")
    return _take(evaluation, judge, judgement)


_take = OpenEvaluation._take
_NOTHING = {name: getattr(Judgement(), name) for name in Judgement.__struct_fields__}
OpenEvaluation._take = _take_strictly  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    """Every gate and command of the suite loads the patterns kept here; what compiles its own takes the name away."""
    os.environ["SALLYGATE_PATTERNS_FILE"] = str(patterns.keep(config.rootpath / ".pytest_cache" / "d" / "patterns"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: tests wait for other processes a good part of their time."""
    return (os.cpu_count() or 1) + 1
