"""Real products behind the gate, driven by their own clients: from `init` in shadow to `enforce` without a refusal."""
