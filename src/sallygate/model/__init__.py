"""Model: frozen values and the protocols of controls.

Nothing here reads, waits, logs or decides. A value is built once and never changed, so that a decision can be
kept, compared and replayed.
"""
