"""Common modules of the tasks of images.

`settings` declares the settings of images and evaluations, `batches` loads and draws images,
`model` is the base of models that explain images by discrete codes, with evaluations and
multi-sample bounds, and `metrics` and `variance` are of all of them. `augmentation` changes
training images at random.
"""
