"""Figures of a sweep's results: what is drawn, apart from how it is drawn."""
