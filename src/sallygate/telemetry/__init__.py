"""What operators see from outside: metrics of every exchange, the state of the gate, and both in the formats of the
field. Counts and tells; decides nothing."""
