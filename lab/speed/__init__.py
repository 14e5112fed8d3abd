"""What protection costs: processor time, beside peers on the same machine in the same run. See docs/performance.md."""
