"""Telemetry: metrics of every exchange, the state of the gate, and their exports. Decides nothing."""
