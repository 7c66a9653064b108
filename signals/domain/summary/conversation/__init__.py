"""A conversation with a model that may call read-only tools: turns, limits, checked statements."""
