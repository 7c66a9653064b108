"""Tables of the loss ledger and settled dead letters."""
