"""Results read from a store: selection, statistics, and the result table."""
