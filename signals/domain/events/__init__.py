"""Readers of an event. The contract decides; the quick readers may answer only `not sure`."""
