"""Programs that a row times from outside."""
