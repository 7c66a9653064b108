"""Separate tools that send events to ingest-api: load generation and replay.

They know the contract (`shared_types`) and HTTP, nothing else of the product, and install without Ray.
"""
