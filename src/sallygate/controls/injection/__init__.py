"""Control of injection: refuses values that the language they land in would run, resolve or expand."""

from sallygate.controls.injection.control import InjectionControl
from sallygate.controls.injection.judges.registry import (
    compile_patterns,
    load_prefilter,
    make_prefilter,
    patterns_signature,
)
from sallygate.controls.injection.pipeline.pattern_scans import processor
from sallygate.controls.injection.pipeline.prefilter import Prefilter

__all__ = [
    "InjectionControl",
    "Prefilter",
    "compile_patterns",
    "load_prefilter",
    "make_prefilter",
    "patterns_signature",
    "processor",
]
