"""core-api: incidents, search, ledger and readiness over HTTP."""
