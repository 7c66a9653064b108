"""Tables of tenants, keys and their limits."""
