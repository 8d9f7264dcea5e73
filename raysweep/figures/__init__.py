"""Figures of a sweep's results: the numbers that they show, and two back ends that draw them."""
