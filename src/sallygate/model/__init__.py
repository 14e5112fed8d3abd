"""Frozen values and the protocols of the stores: what every other part speaks in.

Nothing here reads, waits, logs or decides. A value is built once and never changed, so that a decision can be
kept, compared and replayed.
"""
