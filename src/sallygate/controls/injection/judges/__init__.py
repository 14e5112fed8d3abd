"""Judges of injection: one module or folder for each language of attacks, and their registry."""
