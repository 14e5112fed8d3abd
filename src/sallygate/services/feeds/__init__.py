"""Feeds of threat intelligence: fetched, read and compiled in a child process, stored in the state directory, activated
when whole.

`sources` says what is due and starts the work; `work` is that process, `gathering`, `taxii` and `mispfeed` what it
fetches, `asking` how; `kept` is what lies in the state directory.
"""
