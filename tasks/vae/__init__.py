"""What the variational autoencoders share: settings, images, codes, priors, bounds, the model."""
