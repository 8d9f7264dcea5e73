"""Sessions of a sweep, from its lease to its last row."""
