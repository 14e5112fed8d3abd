"""Steps from a request to evidence of injection, for every language alike."""
