"""How good gradient estimates are: problems small enough for the exact gradient, and measures."""
