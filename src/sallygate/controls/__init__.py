"""Controls: one module or package for each practice. Controls are independent of one another and enforce nothing
themselves.

A control is built once from its section of the policy and then judges: values in, findings out.
"""
