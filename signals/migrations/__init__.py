"""Numbered SQL files and the one way to apply them."""
