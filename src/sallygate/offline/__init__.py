"""Decisions without serving: recordings, replay, what-if, policy diff, tuning; doctor."""
