"""What a flood does to an API behind the gate, and to those it is there for. `python -m lab.flood`.

Loopback alone: sources are addresses of 127.0.0.0/8, or written by a trusted hop. Every phase is bounded in time.
"""
