"""Decides which runs train next, and what becomes of those that fail."""
