"""Sample shop: a small API with typical flaws, its contract and its data.

It knows nothing of the gate that stands before it; all it takes from there is who is calling, in
`X-Sallygate-*`.
"""
