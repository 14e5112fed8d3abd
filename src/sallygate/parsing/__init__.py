"""Parsing: bytes to values. Every limit is an argument or a named constant; other input is refused with an error.

Nothing here knows a policy, an operation, a clock or a socket; what reads two ways is an error, never a
guess."""
