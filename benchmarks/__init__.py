"""Measures every hop of the product against what limits it and what a user would pick instead.

A row is a module in `rows/`: it opens contenders, each a callable that does one round. Nothing of the
product imports this package.
"""
