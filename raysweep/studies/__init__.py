"""Stored results as Optuna studies: their history, export and importance."""
