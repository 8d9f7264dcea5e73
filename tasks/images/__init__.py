"""Common modules of the tasks that explain images by discrete codes, in every family.

`settings` declares the settings of images and evaluations, `batches` loads and draws images,
`model` is the base of their models, with evaluations and multi-sample bounds, and `metrics` and
`variance` are of all of them.
"""
