"""Writes the reference pages from the code, and records the picture of the demo.

A writer returns the text of a page; it describes what it finds and holds no fact of its own.
"""
