"""States of the objects that a run tracks, as plain data that a checkpoint can hold."""

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from raysweep.tasks.contract import RestoreError

_ARRAY = "numpy array"
_PLAIN = (Tensor, bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


@runtime_checkable
class Stateful(Protocol):
    """Object whose state can be saved and restored: a module, an optimizer, and others."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any) -> Any:
        """Restore a state that `state_dict` returned."""


def check_stateful(name: str, tracked: Any) -> None:
    """Check that an object has a state to save.

    Raises:
        TypeError: If it has none, with what to do.
    """
    if isinstance(tracked, Stateful) and not inspect.isclass(tracked):
        return
    kind = tracked.__name__ if inspect.isclass(tracked) else type(tracked).__name__
    article = "the class" if inspect.isclass(tracked) else "an object of the class"
    raise TypeError(
        f"run.track: expected {name!r} to have state_dict and load_state_dict, got {article} "
        f"{kind}; track a module, an optimizer or a scheduler, or give the class these two methods"
    )


def to_plain(state: Any, name: str) -> Any:
    """Return a state as plain data; NumPy's arrays and numbers become tensors and numbers.

    Args:
        state: State of a tracked object, or a part of it.
        name: Name of the object, with the keys of the part, for messages.

    Raises:
        TypeError: If it holds an object that a checkpoint cannot hold.
    """
    if isinstance(state, _PLAIN) and not isinstance(state, np.generic):
        return state.detach() if isinstance(state, Tensor) else state
    if isinstance(state, np.generic):
        return state.item()
    if isinstance(state, np.ndarray) and state.dtype.kind in "biufc":
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(state)), "kind": str(state.dtype)}
    if isinstance(state, Mapping):
        plain = {key: to_plain(value, f"{name}[{key!r}]") for key, value in state.items()}
        return OrderedDict(plain) if isinstance(state, OrderedDict) else plain
    if isinstance(state, list | tuple) and type(state) in (list, tuple):
        return type(state)(to_plain(value, f"{name}[{index}]") for index, value in enumerate(state))
    raise TypeError(
        f"run.track: the state of {name} is of the class {type(state).__name__}, which a "
        "checkpoint cannot hold; expected tensors, NumPy arrays, numbers, text, lists and dicts"
    )


def from_plain(state: Any) -> Any:
    """Return the state that `to_plain` made plain."""
    if isinstance(state, Mapping):
        if set(state) == {_ARRAY, "kind"}:
            return state[_ARRAY].cpu().numpy().astype(state["kind"])
        restored = {key: from_plain(value) for key, value in state.items()}
        return OrderedDict(restored) if isinstance(state, OrderedDict) else restored
    if isinstance(state, list | tuple) and type(state) in (list, tuple):
        return type(state)(from_plain(value) for value in state)
    return state


def load(name: str, tracked: Stateful, state: Any) -> None:
    """Load a saved state into an object.

    Raises:
        RestoreError: If the state does not fit, in one line.
    """
    try:
        tracked.load_state_dict(from_plain(state))
    except Exception as error:
        text = " ".join(str(error).split())
        raise RestoreError(
            f"the saved state of {name!r} does not fit: {type(error).__name__}: {text}"
        ) from error
