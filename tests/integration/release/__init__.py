"""Building a release from the source tree."""
