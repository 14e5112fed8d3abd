"""Pipeline of injection: steps from a request to evidence that are the same for every language."""
