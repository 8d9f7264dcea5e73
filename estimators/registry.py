"""The estimators by family and registry name."""

from typing import Any

from raysweep.estimators.arm import ARM
from raysweep.estimators.arms import ARMS
from raysweep.estimators.ars import ARS, ARSM, ARSMPlus, ARSPlus
from raysweep.estimators.base import Estimator
from raysweep.estimators.disarm import DisARM
from raysweep.estimators.disarm_categorical import DisARMIW, DisARMSB, DisARMTree
from raysweep.estimators.double_cv import DoubleCV
from raysweep.estimators.exact import Exact
from raysweep.estimators.gapped import GappedST
from raysweep.estimators.gumbel import GumbelRao, GumbelSoftmax, STGumbelSoftmax
from raysweep.estimators.layered.registry import TABLE as LAYERED
from raysweep.estimators.local_expectation import LocalExpectation
from raysweep.estimators.lookup import create, unknown
from raysweep.estimators.method import Method
from raysweep.estimators.muprop import MuProp
from raysweep.estimators.nvil import NVIL
from raysweep.estimators.rebar import REBAR
from raysweep.estimators.reinforce import Reinforce, ReinforceLOO
from raysweep.estimators.reinmax import ReinMax
from raysweep.estimators.relax import RELAX
from raysweep.estimators.rodeo import RODEO
from raysweep.estimators.straight_through import StraightThrough
from raysweep.estimators.unordered_set import UnorderedSet
from raysweep.estimators.vimco import VIMCO

_CATEGORICAL: tuple[type[Estimator], ...] = (
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
    DisARMSB,
    DisARMIW,
    DisARMTree,
    ARMS,
    DoubleCV,
    RODEO,
    LocalExpectation,
    UnorderedSet,
    VIMCO,
    Exact,
)

FAMILIES: dict[str, dict[str, type[Method[Any]]]] = {
    "categorical": {method.name: method for method in _CATEGORICAL},
    "layered": LAYERED,
}
"""Classes by family and registry name. A family shares one kind of latent variables."""


def names(family: str = "categorical") -> list[str]:
    """Return every registry name of a family.

    Raises:
        ValueError: If there is no such family.
    """
    return list(_table(family))


def find(name: str, family: str = "categorical") -> type[Any]:
    """Return the class of a registry name; its settings are the keyword arguments of `__init__`.

    Raises:
        ValueError: If there is no such estimator or family.
    """
    table = _table(family)
    if name not in table:
        others = [other for other, methods in FAMILIES.items() if name in methods]
        if others:
            raise ValueError(
                f"estimator {name} is of the family {' and '.join(others)}, got the family "
                f"{family}; give family={others[0]!r}"
            )
        raise ValueError(unknown("estimator", name, table))
    return table[name]


def get(name: str, family: str = "categorical", **settings: Any) -> Any:
    """Create an estimator by its registry name.

    Args:
        name: One of `names(family)`.
        family: The kind of latent variables, a key of `FAMILIES`.
        settings: Keyword arguments of the class.

    Raises:
        ValueError: If the name, the family, a setting or a setting's value is not valid.
        TypeError: If a setting has the wrong type.
    """
    return create(find(name, family), settings)


def _table(family: str) -> dict[str, type[Method[Any]]]:
    if family not in FAMILIES:
        raise ValueError(unknown("family", family, FAMILIES))
    return FAMILIES[family]
