"""Search and early stopping with Optuna, which only this package and `studies` import."""
