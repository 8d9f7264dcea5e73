"""Unsupervised parsing of ListOps: expressions, tree-LSTM, task."""
