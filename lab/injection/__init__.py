"""The evaluation of injection detection: honest traffic, attack lists, the suites of others, evasion. `make lab-injection`."""
