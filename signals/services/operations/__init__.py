"""Readiness, preflight, retention, housekeeping and dead letters."""
