"""What is wrong with an environment, a store and its sweeps, and what can be mended."""
