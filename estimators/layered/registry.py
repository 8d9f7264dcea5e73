"""The estimators of layered networks by registry name."""

from typing import Any

from raysweep.estimators.layered.arm import LayeredARM
from raysweep.estimators.layered.base import LayeredEstimator
from raysweep.estimators.layered.enumeration import LayeredExact
from raysweep.estimators.layered.moments import ADF, LocalReparam
from raysweep.estimators.layered.muprop import LayeredMuProp
from raysweep.estimators.layered.psa import PSA
from raysweep.estimators.layered.rebar import LayeredREBAR
from raysweep.estimators.layered.relaxed import Concrete, Tanh
from raysweep.estimators.layered.score import LayeredNVIL, LayeredReinforce
from raysweep.estimators.layered.straight_through import HardST, LayeredStraightThrough
from raysweep.estimators.lookup import create, unknown
from raysweep.estimators.method import Method

_METHODS: tuple[type[LayeredEstimator], ...] = (
    PSA,
    LayeredStraightThrough,
    HardST,
    Tanh,
    Concrete,
    ADF,
    LocalReparam,
    LayeredReinforce,
    LayeredNVIL,
    LayeredMuProp,
    LayeredREBAR,
    LayeredARM,
    LayeredExact,
)

TABLE: dict[str, type[Method[Any]]] = {method.name: method for method in _METHODS}
"""Classes by registry name."""


def names() -> list[str]:
    """Return every registry name of the family."""
    return list(TABLE)


def get(name: str, **settings: Any) -> Any:
    """Create an estimator of the family by its registry name.

    Args:
        name: One of `names()`.
        settings: Keyword arguments of the class.

    Raises:
        ValueError: If the name, a setting or a setting's value is not valid.
        TypeError: If a setting has the wrong type.
    """
    if name not in TABLE:
        raise ValueError(unknown("estimator", name, TABLE))
    return create(TABLE[name], settings)
