"""Processes that a row times from outside: each consumes a topic that was filled before."""
