"""Queries that readers send: parameters, search text and page cursors."""
