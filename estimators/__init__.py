"""Gradient estimators for expectations over discrete latent variables.

>>> import torch
>>> from raysweep import estimators
>>> logits = torch.zeros(5, 3, 2, requires_grad=True)
>>> method = estimators.get("reinmax", temperature=1.3)
>>> out = method.estimate(logits, lambda d: d[..., 1].sum(-1) ** 2, estimators.Noise(seed=0))
>>> out.surrogate.sum().backward()
>>> logits.grad.shape
torch.Size([5, 3, 2])
"""

import difflib
import inspect
from collections.abc import Collection
from typing import Any

from raysweep.estimators import exact as exact
from raysweep.estimators.arm import ARM
from raysweep.estimators.arms import ARMS
from raysweep.estimators.ars import ARS, ARSM, ARSMPlus, ARSPlus
from raysweep.estimators.base import Estimator as Estimator
from raysweep.estimators.base import PathwiseEstimator as PathwiseEstimator
from raysweep.estimators.disarm import DisARM
from raysweep.estimators.double_cv import DoubleCV
from raysweep.estimators.estimate import Estimate as Estimate
from raysweep.estimators.estimate import Objective as Objective
from raysweep.estimators.gapped import GappedST
from raysweep.estimators.gumbel import GumbelRao, GumbelSoftmax, STGumbelSoftmax
from raysweep.estimators.local_expectation import LocalExpectation
from raysweep.estimators.muprop import MuProp
from raysweep.estimators.noise import Noise as Noise
from raysweep.estimators.nvil import NVIL
from raysweep.estimators.rebar import REBAR
from raysweep.estimators.reinforce import Reinforce, ReinforceLOO
from raysweep.estimators.reinmax import ReinMax
from raysweep.estimators.relax import RELAX
from raysweep.estimators.rodeo import RODEO
from raysweep.estimators.straight_through import StraightThrough

_BY_NAME: dict[str, type[Estimator]] = {
    method.name: method
    for method in (
        StraightThrough,
        STGumbelSoftmax,
        GumbelSoftmax,
        GumbelRao,
        GappedST,
        ReinMax,
        Reinforce,
        ReinforceLOO,
        NVIL,
        MuProp,
        REBAR,
        RELAX,
        ARM,
        ARS,
        ARSPlus,
        ARSM,
        ARSMPlus,
        DisARM,
        ARMS,
        DoubleCV,
        RODEO,
        LocalExpectation,
        exact.Exact,
    )
}


def names() -> list[str]:
    """Every registry name."""
    return list(_BY_NAME)


def find(name: str) -> type[Estimator]:
    """The class of a registry name; its settings are the keyword arguments of `__init__`.

    Raises:
        ValueError: If there is no such estimator.
    """
    if name not in _BY_NAME:
        raise ValueError(_unknown("estimator", name, _BY_NAME))
    return _BY_NAME[name]


def get(name: str, **settings: Any) -> Estimator:
    """An estimator by its registry name.

    Args:
        name: One of `names()`.
        settings: Keyword arguments of the class.

    Raises:
        ValueError: If the name, a setting or a setting's value is not valid.
        TypeError: If a setting has the wrong type.
    """
    method = find(name)
    valid = inspect.signature(method).parameters
    for setting in settings:
        if setting not in valid:
            raise ValueError(_unknown(f"setting of {name}", setting, valid))
    return method(**settings)


def _unknown(what: str, given: str, valid: Collection[str]) -> str:
    nearest = difflib.get_close_matches(str(given), valid, n=1, cutoff=0.0)
    hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
    return f"{what} must be one of {', '.join(valid)}; got {given!r}{hint}"
