"""Training of packs, in this process or on Ray."""
