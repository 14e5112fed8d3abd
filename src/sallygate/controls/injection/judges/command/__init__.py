"""Judge of command injection: what a shell would run, by its signatures, triggers and words."""
