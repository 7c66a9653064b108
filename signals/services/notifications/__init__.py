"""Manages destinations and routes; plans and delivers notices."""
