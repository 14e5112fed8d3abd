"""Events of exchanges: how they are built from what was decided."""
