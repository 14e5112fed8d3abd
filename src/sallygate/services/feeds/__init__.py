"""Feeds of threat intelligence: fetched, read and compiled by a process of its own, kept in the state directory, put in
force when they are whole.

`sources` says what is due and starts the work; `work` is that process, `gathering`, `taxii` and `mispfeed` what it
fetches, `asking` how; `kept` is what lies in the state directory.
"""
