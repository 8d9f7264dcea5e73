"""Tasks with an encoder, a discrete code and a decoder: three tasks and their common modules.

`bernoulli`, `categorical` and `structured_prediction` each declare a task by its code, its prior
and its defaults. `base` has the rest of a task, `settings` the common settings, and `model` the
losses and bounds, built from `codes`, `priors`, `images`, `metrics` and `variance`.
"""
