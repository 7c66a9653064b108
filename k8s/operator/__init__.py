"""Keeps a cluster's objects as `SignalsStack` and `SignalsScenario` describe them.

Types become CRDs; pure builders turn a spec into objects; one level-based reconcile applies them through
one door to the API server; kopf is only the shell around it.
"""
