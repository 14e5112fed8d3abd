"""The stores: SQLite files in the state directory. They keep, durably and in order; they never decide."""
