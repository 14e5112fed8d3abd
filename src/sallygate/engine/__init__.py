"""The phases of a decision: which controls run, in what order, and what their findings add up to."""
