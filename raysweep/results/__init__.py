"""What a store says: selection, statistics, the table and figures."""
