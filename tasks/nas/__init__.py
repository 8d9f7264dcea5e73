"""Search of neural architectures in the topology space of NATS-Bench.

`space.py` has the architectures, `tabular.py` the search against the benchmark's accuracies alone.
"""
