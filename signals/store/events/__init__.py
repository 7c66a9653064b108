"""Tables about events and the payloads that they come from."""
