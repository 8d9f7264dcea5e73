"""Tasks of stochastic binary networks: several layers of units that are -1 or 1 at random."""
