"""Classification by a stochastic binary network.

`task` declares the task, `settings` its settings and the sizes that they determine. `model` has
the losses and the metrics, built from the layers of `network` and the batches of `examples`, whose
images `augmentation` changes.
"""
