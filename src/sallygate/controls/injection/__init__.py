"""Control of injection: values that would be run, resolved or expanded by the language they land in are refused."""

from sallygate.controls.injection.control import InjectionControl
from sallygate.controls.injection.judges.registry import compile_patterns, patterns_signature

__all__ = ["InjectionControl", "compile_patterns", "patterns_signature"]
