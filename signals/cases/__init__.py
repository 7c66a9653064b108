"""Labelled cases: generated traffic with a planted cause, answers to them, and their scores.

They measure summaries without a server. Nothing in the product depends on this room but the command.
"""
