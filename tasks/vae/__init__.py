"""Tasks with an encoder, a discrete code and a decoder: three tasks and their common modules.

`bernoulli`, `categorical` and `structured_prediction` each declare a task by its code, its prior
and its defaults. `base` has the rest of a task, `settings` and `metrics` those of all three, and
`model` the losses, built from `codes`, `priors` and the modules of `tasks/images`.
"""
