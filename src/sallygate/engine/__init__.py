"""Engine: the phases of a decision, the order of the controls, and the driver of an exchange."""
