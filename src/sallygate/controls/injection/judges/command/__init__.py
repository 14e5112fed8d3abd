"""Judge of command injection: reading as a shell, triggers and words."""
