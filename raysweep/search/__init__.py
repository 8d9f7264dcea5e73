"""Optuna behind one class: the only package that knows it."""
