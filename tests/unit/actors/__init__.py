"""Tests of what the actors decide by themselves."""
