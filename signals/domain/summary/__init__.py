"""Incident summaries: what the model is shown, how its answer is parsed, checked, and replaced.

Pure: no I/O, no clock, no chance. A `Brief` becomes exhibits, exhibits a prompt, the answer is
parsed strictly and checked against the exhibits; the built-in summarizer answers from the same exhibits.
"""
