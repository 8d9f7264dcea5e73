"""Trains packs: in this process, or as Ray Tune trials."""
