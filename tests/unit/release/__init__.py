"""The files and the version of a release."""
