"""Training of many runs at once: every tensor leads with the replica axis `R`."""
