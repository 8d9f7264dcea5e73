"""What a sweep consists of, as plain data: settings and their spaces, runs, packs, the spec."""
