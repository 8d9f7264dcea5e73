"""Quality of gradient estimates, on problems small enough for the exact gradient."""
