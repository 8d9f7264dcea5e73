"""Python's, NumPy's and torch's generators of random numbers, as each run's own."""

import functools
import random
from typing import Any, Optional

import numpy as np
import torch

State = dict[str, Any]
"""Plain data: numbers, lists, tensors."""


class Generators:
    """State of the process's generators that belongs to one run while it trains.

    The states are exchanged only when another run trains in the same process, or none does, as a
    step may take less time than an exchange.

    Args:
        seed: Seed of the run.
        device: Device of the run; a GPU has a generator of its own.
    """

    _active: Optional["Generators"] = None
    _outside: State = {}  # noqa: RUF012 - the states of this process before the first run

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self._state: State | None = None

    def activate(self) -> None:
        """Make the generators this run's; at first, seed them."""
        current = Generators._active
        if current is self:
            return
        if current is None:
            Generators._outside = capture(self.device)
        else:
            current._state = capture(current.device)
        Generators._active = self
        if self._state is None:
            seed_all(self.seed)
        else:
            restore(self._state, self.device)

    def state_dict(self) -> State:
        """Return the present states."""
        if Generators._active is self:
            return capture(self.device)
        return self._state or {}

    def load_state_dict(self, state: State) -> None:
        """Restore states that `state_dict` returned."""
        self._state = state
        if Generators._active is self:
            restore(state, self.device)

    def close(self) -> None:
        """Give the process the states that it had before the run."""
        if Generators._active is self:
            restore(Generators._outside, self.device)
            Generators._active, Generators._outside = None, {}


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators, those of GPUs included."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if _has_accelerator():
        torch.manual_seed(seed)
    else:  # torch formats a traceback for each kind of device, in case that one comes later
        torch.default_generator.manual_seed(seed)


@functools.cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()


def capture(device: torch.device) -> State:
    """Return the states of all generators."""
    version, numbers, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, cached = numpy
    state: State = {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [
            str(name),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore(state: State, device: torch.device) -> None:
    """Restore states that `capture` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
