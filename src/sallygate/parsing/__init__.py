"""Bytes to values. Every limit is an argument or a named constant, and what does not fit is refused loudly.

Nothing here knows a policy, an operation, a clock or a socket; what reads two ways is an error, never a
guess."""
