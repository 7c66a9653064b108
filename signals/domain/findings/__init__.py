"""Causes of an incident, found by comparing failing with working events.

Pure: no I/O, no clock, no chance. Events become labels and message templates, these become bounded counts
(`Comparison`), and `find` turns counts into `Findings`: ranked causes, cleared suspects, or "not visible".
"""
