"""Pure rules: no I/O, no clock, no chance, no environment; instants and ids are arguments."""
