"""Gaussian mixtures, fitted with any estimator, by EM, or in the relaxed model."""
