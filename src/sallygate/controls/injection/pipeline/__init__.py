"""Steps from a request to evidence of injection that are alike for every language."""
