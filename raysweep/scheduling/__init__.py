"""Choice of the runs that train next, and recovery of those that fail."""
