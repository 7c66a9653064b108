"""Notifications: who gets which incident, where, and in which words."""
