"""Evaluations and benchmarks. Nothing here is imported by the package."""
