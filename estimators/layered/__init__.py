"""Gradient estimators for networks of several layers of stochastic binary units.

>>> import torch
>>> from raysweep import estimators
>>> from raysweep.estimators.layered import Dense, Head
>>> layers = [Dense(torch.randn(2, 5), torch.zeros(5)), Dense(torch.randn(5, 5), torch.zeros(5))]
>>> method = estimators.layered.get("psa")  # or estimators.get("psa", family="layered")
>>> head = Head(lambda state: state.sum(-1) ** 2)
>>> out = method.estimate(layers, torch.randn(8, 2), head, estimators.Noise(seed=0))
>>> out.surrogate.sum().backward()
>>> layers[0].weight.grad.shape
torch.Size([2, 5])
"""

from raysweep.estimators.layered.base import LayeredEstimate as LayeredEstimate
from raysweep.estimators.layered.base import LayeredEstimator as LayeredEstimator
from raysweep.estimators.layered.enumeration import exact as exact
from raysweep.estimators.layered.layers import Convolution as Convolution
from raysweep.estimators.layered.layers import Dense as Dense
from raysweep.estimators.layered.layers import General as General
from raysweep.estimators.layered.layers import Layer as Layer
from raysweep.estimators.layered.objective import Head as Head
from raysweep.estimators.layered.objective import LinearHead as LinearHead
from raysweep.estimators.layered.objective import Path as Path
from raysweep.estimators.layered.objective import PathObjective as PathObjective
from raysweep.estimators.layered.registry import get as get
from raysweep.estimators.layered.registry import names as names
