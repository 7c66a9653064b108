"""The loss ledger: what is entered, what is found missing, and who sees it."""
