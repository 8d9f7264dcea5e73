"""What a store says: selection, statistics and the table."""
