"""Tasks with an encoder, a discrete code and a decoder: three modules, and what they share.

`bernoulli`, `categorical` and `structured_prediction` each declare a task, by its code, its prior
and its defaults; `base` has the rest of a task, `settings` the common settings, `model` the loss and
the bounds, made of `codes`, `priors`, `images`, `metrics` and `variance`.
"""
