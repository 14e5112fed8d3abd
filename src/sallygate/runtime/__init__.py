"""The composition root: builds everything else from a policy; owns clock, chance, reload and background work."""

from sallygate.runtime.core import Runtime
from sallygate.runtime.inprocess import Guard

__all__ = ["Guard", "Runtime"]
