"""Stores: SQLite files in the state directory. They keep data durably and in order, and decide nothing."""
