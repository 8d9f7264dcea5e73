"""Search of neural architectures in the topology space of NATS-Bench.

`space` has the architectures and `cells` distributions over them, with the benchmark's accuracies.
`tabular` searches those accuracies themselves. `task` searches with a supernet: `operations` are
those of its cells, `supernet` is the network, `images` draws batches, and `search` updates weights
and logits in turn.
"""
