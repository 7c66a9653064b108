"""The loss ledger: entries and audits."""
