"""Incidents as readers see them."""
