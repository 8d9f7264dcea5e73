"""Diagnosis of an environment, a store and its sweeps, with fixes."""
