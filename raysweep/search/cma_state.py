"""State of CMA-ES optimizers as plain JSON, and optimizers rebuilt from it, bit for bit.

The state has only the values that change between generations; the optimizer's class computes the
constants again. Every value is checked when it is read: type, shape and size. So a store from
elsewhere can neither run code nor crash the process.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

MAX_POPULATION = 100_000
LARGEST = 1e100  # absolute value in a state; products of a few such values remain finite
CLASSES = ("cma", "sepcma", "cmawm")
RESAMPLING = 10  # Optuna's value of `n_max_resampling`, per dimension

_NUMBERS = ("_sigma", "_tolx")
_RATES = ("_Vmean", "_VSigma", "_eta_mean", "_eta_Sigma")
_VECTORS = ("_mean", "_p_sigma", "_pc")
_MARGIN = ("_discrete_space_low", "_discrete_space_step", "m_z_lim_low", "m_z_lim_up")


class NotKept(ValueError):
    """An optimizer whose state cannot be expressed as plain data."""


def to_json(optimizer: Any) -> dict[str, Any]:
    """Return the state of an optimizer as plain data.

    Args:
        optimizer: A `CMA`, `SepCMA` or `CMAwM` of the `cmaes` package, as Optuna pickles it.

    Raises:
        NotKept: If the optimizer cannot be rebuilt exactly, as with an unknown version of `cmaes`.
    """
    kind = type(optimizer).__name__.lower()
    state = _contents(optimizer)
    try:
        names = _kept_names(kind)
        data = {name: _encode(value) for name, value in state.items() if name in names}
        data["class"] = kind
        if kind == "cmawm":
            data["_cma"] = to_json(optimizer._cma)
        rebuilt = from_json(data)
    except (ValueError, TypeError, KeyError) as error:
        raise NotKept(f"{type(optimizer).__name__}: {error}") from error
    if not _equal(_contents(rebuilt), state):
        raise NotKept(f"{type(optimizer).__name__} has a state that raysweep cannot store")
    return data


def from_json(data: Any) -> Any:
    """Rebuild an optimizer from the data of `to_json`.

    Args:
        data: State of the optimizer as plain data.

    Raises:
        ValueError: If the data is not such a state.
    """
    if not isinstance(data, dict) or data.get("class") not in CLASSES:
        raise ValueError("expected the state of an optimizer")
    try:
        return _with_margin(data) if data["class"] == "cmawm" else _plain(data)
    except KeyError as error:
        raise ValueError(f"an optimizer's state lacks {error}") from error
    except (AssertionError, OverflowError, TypeError) as error:
        raise ValueError(f"an optimizer's state is out of bounds: {error}") from error


def _contents(optimizer: Any) -> dict[str, Any]:
    """Return the attributes of an optimizer except random numbers, which Optuna seeds anew."""
    state = vars(optimizer).copy()
    if "_cma" in state:
        return {**state, "_cma": _contents(optimizer._cma)}
    if hasattr(optimizer, "__getstate__"):
        state = dict(optimizer.__getstate__())
    return state


def _equal(one: Any, other: Any) -> bool:
    """Check whether two values are the same bit for bit, with types and order in memory."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        layouts = [(array.dtype, array.shape, array.flags.c_contiguous) for array in (one, other)]
        is_float = one.dtype.kind == "f"
        return layouts[0] == layouts[1] and np.array_equal(one, other, equal_nan=is_float)
    return bool(one == other)


def _kept_names(kind: str) -> Sequence[str]:
    if kind == "cmawm":
        return (*_MARGIN, "_discrete_idx", "_discrete_space_size", "_A")
    full = ("_c_1d", "_B", "_lr_adapt", "_Emean", "_ESigma", *_RATES)
    of_class = full if kind == "cma" else ("_C",)
    return (*_NUMBERS, *_VECTORS, *of_class, "_D", "_g", "_popsize", "_bounds", "_funhist_values")


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        order: Literal["C", "F"] = "C"
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            order = "F"
        values = [_number(item) for item in array.flatten(order).tolist()]
        return {"shape": list(array.shape), "order": order, "values": values}
    return _number(value)


def _number(value: Any) -> Any:
    """Return a number as JSON holds it; infinities and NaN become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"expected a number, got {type(value).__name__}")


class _Reader:
    """Reader of a state that checks each value.

    Args:
        data: State of the optimizer as plain data.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def whole(self, name: str, least: int, most: int) -> int:
        """Return a whole number between two others."""
        value = self.data[name]
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name}: expected a whole number from {least} to {most}")
        return value

    def number(self, name: str) -> Any:
        """Return a finite number, of the type that it had: Python's or NumPy's."""
        value = self.data[name]
        if isinstance(value, dict):
            return self.array(name, ())[()]
        if not isinstance(value, float) or not abs(value) <= LARGEST:
            raise ValueError(f"{name}: expected a number")
        return value

    def size(self, name: str) -> int:
        """Return the number of values in an array."""
        value = self.data[name]
        if not isinstance(value, dict) or not isinstance(value.get("values"), list):
            raise ValueError(f"{name}: expected an array")
        return len(value["values"])

    def array(
        self, name: str, shape: tuple[int, ...], *, dtype: str = "f8", finite: bool = True
    ) -> Any:
        """Return an array, which must have that shape."""
        size, value = self.size(name), self.data[name]
        if value.get("shape") != list(shape) or size != math.prod(shape):
            raise ValueError(f"{name}: expected an array {list(shape)}")
        kind: Any = int if dtype == "i8" else float
        order = value.get("order")
        values = value["values"]
        if not finite:
            values = [float(item) if item in ("nan", "inf", "-inf") else item for item in values]
        elif not all(type(item) is kind and abs(item) <= LARGEST for item in values):
            raise ValueError(f"{name}: expected numbers")
        if order not in ("C", "F") or not all(type(item) is kind for item in values):
            raise ValueError(f"{name}: expected numbers")
        return np.array(values, dtype=dtype).reshape(shape, order=order)

    def optional(self, name: str, shape: tuple[int, ...]) -> Any:
        """Return an array, which must have that shape, or None."""
        return None if self.data[name] is None else self.array(name, shape)


def _plain(data: Mapping[str, Any]) -> Any:
    """Rebuild a `CMA` or a `SepCMA`."""
    read = _Reader(data)
    dim = read.size("_mean")
    fresh = _fresh(read, dim)
    state = {name: read.number(name) for name in _NUMBERS}
    state |= {name: read.array(name, (dim,)) for name in _VECTORS}
    if state["_sigma"] <= 0:
        raise ValueError("_sigma: expected a number above 0")
    state["_g"] = read.whole("_g", 0, 2**53)
    state["_D"] = read.optional("_D", (dim,))
    if data["class"] == "cma":
        state |= {name: read.number(name) for name in _RATES}
        state["_c_1d"] = read.array("_c_1d", (dim * (dim + 1) // 2,))
        state["_B"] = read.optional("_B", (dim, dim))
        state["_Emean"] = read.array("_Emean", (dim, 1))
        state["_ESigma"] = read.array("_ESigma", (dim * dim, 1))
    else:
        state["_C"] = read.array("_C", (dim,))
    history = (len(fresh._funhist_values),)
    state["_funhist_values"] = read.array("_funhist_values", history, finite=False)
    optimizer = object.__new__(type(fresh))
    optimizer.__setstate__({**fresh.__getstate__(), **state})
    return optimizer


def _fresh(read: _Reader, dim: int) -> Any:
    """Create a new optimizer of the state's class, dimension, bounds and population."""
    import cmaes  # imports SciPy's distributions, which takes a second

    population = read.whole("_popsize", 1, MAX_POPULATION)
    bounds = read.array("_bounds", (dim, 2))
    if not dim or not (bounds[:, 0] <= bounds[:, 1]).all():
        raise ValueError("_bounds: expected a lower and an upper bound of each setting")
    adapts = read.data.get("_lr_adapt", False)
    if not isinstance(adapts, bool):
        raise ValueError("_lr_adapt: expected true or false")
    options: dict[str, Any] = {
        "mean": (bounds[:, 0] + bounds[:, 1]) / 2,
        "sigma": 1.0,
        "bounds": bounds,
        "n_max_resampling": RESAMPLING * dim,
        "population_size": population,
    }
    if read.data["class"] == "sepcma":
        return cmaes.SepCMA(**options)
    return cmaes.CMA(**options, lr_adapt=adapts)


def _with_margin(data: Mapping[str, Any]) -> Any:
    """Rebuild a `CMAwM` without its constructor, which needs steps that no `CMAwM` keeps."""
    import cmaes

    inner = from_json(data["_cma"])
    if not isinstance(inner, cmaes.CMA):
        raise ValueError("_cma: expected the state of CMA")
    read = _Reader(data)
    dim, count = inner.dim, read.size("_discrete_idx")
    discrete = read.array("_discrete_idx", (count,), dtype="i8")
    if sorted(set(discrete.tolist())) != discrete.tolist() or not all(
        0 <= index < dim for index in discrete.tolist()
    ):
        raise ValueError("_discrete_idx: expected increasing indices")
    continuous = np.setdiff1d(np.arange(dim), discrete)
    optimizer = object.__new__(cmaes.CMAwM)
    optimizer._cma = inner
    optimizer._n_max_resampling = RESAMPLING * dim
    optimizer._discrete_idx = discrete
    optimizer._discrete_space_low = read.array("_discrete_space_low", (count,))
    optimizer._discrete_space_size = read.array("_discrete_space_size", (count,), dtype="i8")
    optimizer._discrete_space_step = read.array("_discrete_space_step", (count,))
    if (optimizer._discrete_space_size < 2).any() or not (optimizer._discrete_space_step > 0).all():
        raise ValueError("_discrete_space: expected at least two choices of each setting")
    optimizer._continuous_idx = continuous
    optimizer._continuous_space = inner._bounds[continuous]
    optimizer._n_zdim = count
    if count:
        optimizer.margin = 1 / (dim * inner.population_size)
        optimizer.m_z_lim_low = read.array("m_z_lim_low", (count,))
        optimizer.m_z_lim_up = read.array("m_z_lim_up", (count,))
        optimizer._A = read.array("_A", (dim,))
    return optimizer
