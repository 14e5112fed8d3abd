"""Control of injection: refuses values that the language they land in would run, resolve or expand."""

from sallygate.controls.injection.control import InjectionControl
from sallygate.controls.injection.judges.registry import compile_patterns, patterns_signature

__all__ = ["InjectionControl", "compile_patterns", "patterns_signature"]
