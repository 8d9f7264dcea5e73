"""Gaussian mixtures: the same data fitted through any estimator, by EM, or relaxed."""
