"""Ray Serve applications: parse, authenticate, call, answer."""
