"""Measures every hop of the product against its limit and against peers.

A row is a module in `rows/`: it opens contenders, each a callable that does one round. Nothing of the
product imports this package.
"""
