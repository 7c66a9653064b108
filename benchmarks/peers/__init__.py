"""What a user would pick instead: each peer's program with its own pinned requirements."""
