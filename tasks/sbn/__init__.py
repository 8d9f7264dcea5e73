"""Tasks that train networks of several layers of stochastic binary units."""
