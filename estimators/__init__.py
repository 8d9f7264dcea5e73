"""Gradient estimators for expectations over discrete latent variables.

Here are those for independent categorical variables; `raysweep.estimators.layered` has those for
networks of several layers of stochastic binary units.

>>> import torch
>>> from raysweep import estimators
>>> logits = torch.zeros(5, 3, 2, requires_grad=True)
>>> method = estimators.get("reinmax", temperature=1.3)
>>> out = method.estimate(logits, lambda d: d[..., 1].sum(-1) ** 2, estimators.Noise(seed=0))
>>> out.surrogate.sum().backward()
>>> logits.grad.shape
torch.Size([5, 3, 2])
"""

from raysweep.estimators import exact as exact
from raysweep.estimators import functional as functional
from raysweep.estimators import layered as layered
from raysweep.estimators.base import Estimator as Estimator
from raysweep.estimators.base import PathwiseEstimator as PathwiseEstimator
from raysweep.estimators.estimate import Estimate as Estimate
from raysweep.estimators.estimate import Objective as Objective
from raysweep.estimators.method import Method as Method
from raysweep.estimators.noise import Noise as Noise
from raysweep.estimators.noise import TorchNoise as TorchNoise
from raysweep.estimators.registry import find as find
from raysweep.estimators.registry import get as get
from raysweep.estimators.registry import names as names
