"""Reads deploys for people: lists, and what each changed."""
