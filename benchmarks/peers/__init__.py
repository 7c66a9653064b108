"""Alternatives to the product: each peer's program with its own pinned requirements."""
