"""Examples of a stacked task: what the user's function returns, checked, on the device."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raysweep.tasks.functions import generators
from raysweep.tasks.stacked.mistakes import RAISED, explain, mistake

SEED = 0  # of what the user's function draws
_FORM = '{"train": (x, y), ...}, tensors that lead with the examples'


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples on the device, in the run's format.

    Args:
        parts: Parts by name, as the user's function returns them, with other tensors.
        count: Number of training examples.
    """

    parts: Mapping[str, Any]
    count: int

    def batch(self, rows: Tensor) -> Any:
        """Return training examples by their indices, of any shape."""
        return map_tensors(lambda tensor: tensor[rows], self.parts["train"])


def map_tensors(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Return nested tuples, lists and dicts with a function applied to their tensors."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: map_tensors(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        members = [map_tensors(function, value) for value in tree]
        return type(tree)(*members) if hasattr(tree, "_fields") else type(tree)(members)
    return tree


@functools.lru_cache(maxsize=2)
def load(
    function: Callable[..., Any],
    folder: Path,
    settings: tuple[tuple[str, Any], ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Examples:
    """Return the examples, read once per process, folder, settings, format and device.

    Random numbers that the function draws are the same in every process. The generators are as
    before afterwards.

    Args:
        function: Function of the user, from a folder to parts.
        folder: Folder of the data sets.
        settings: Names and values of the function's settings.
        dtype: Floating point format of the examples; integers stay as they are.
        device: Device of the examples.

    Raises:
        FileNotFoundError: If the function raises one; the message is one line.
        TaskMistake: If it raises another error, or returns something else.
    """
    before = generators.capture(device)
    try:
        generators.seed_all(SEED)
        parts = function(folder, **dict(settings))
    except FileNotFoundError as error:
        raise FileNotFoundError(str(explain(function, error))) from error
    except RAISED as error:
        raise explain(function, error) from error
    finally:
        generators.restore(before, device)
    if not isinstance(parts, Mapping):
        raise mistake(function, f"expected {_FORM}, got {type(parts).__name__}")
    if "train" not in parts:
        given = ", ".join(map(str, parts)) or "none"
        raise mistake(function, f"expected {_FORM}, got no part 'train' (parts: {given})")
    count = _count(function, parts["train"])

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    try:
        return Examples(map_tensors(convert, dict(parts)), count)
    except NotImplementedError as error:  # of tensors without numbers
        raise explain(function, error) from error


def _count(function: Callable[..., Any], train: Any) -> int:
    """Return the number of examples that every tensor leads with.

    Raises:
        TaskMistake: If they do not agree, or there is something else than tensors.
    """
    leaves = list(_leaves(train))
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            kind = type(leaf).__name__
            raise mistake(
                function, f"expected tensors in the part 'train', got {kind}; use torch.as_tensor"
            )
    counts = {leaf.shape[0] if leaf.dim() else 0 for leaf in leaves}
    if len(counts) != 1 or 0 in counts:
        shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves) or "none"
        raise mistake(
            function,
            f"expected the tensors of 'train' to lead with the same number of examples, at least "
            f"1, got the shapes {shapes}",
        )
    return int(counts.pop())


def _leaves(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if not isinstance(tree, list | tuple):
        yield tree
        return
    for value in tree:
        yield from _leaves(value)
