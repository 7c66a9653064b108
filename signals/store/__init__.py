"""The only SQL: one file per table family. Functions take a connection; they never open or commit."""
