"""API keys, and the rate and quota that each one may use."""
