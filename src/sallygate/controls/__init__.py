"""One package or module for each practice Sallygate enforces; none knows another, none enforces by itself.

A control is built once from its section of the policy and then judges: values in, findings out.
"""
