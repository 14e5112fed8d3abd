"""Makes the modules of this directory (`contract_harness` and the like) importable from every test below
it."""
