"""The only doors through which messages leave: every connection goes to an address that was checked."""
