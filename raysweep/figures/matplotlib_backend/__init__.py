"""Draws what was prepared, with matplotlib's object interface: no window, no global state."""
