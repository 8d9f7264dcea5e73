"""Random numbers of one run, drawn for all runs of a pack outside of `torch.func.vmap`."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.functions.signature import TaskMistake

REQUESTS = "noise.dropout(x, p), noise.uniform(*shape) or noise.normal(*shape)"


class Request(NamedTuple):
    """Request for random numbers of one run.

    Args:
        kind: Distribution of the numbers.
        shape: Shape of the numbers of one run.
    """

    kind: Literal["uniform", "normal"]
    shape: tuple[int, ...]

    def draw(self, noise: Noise, replicas: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return numbers `R ...` of every run; normal ones by inversion."""
        numbers = noise.uniform(replicas, *self.shape, dtype=dtype, device=device)
        return torch.special.ndtri(numbers) if self.kind == "normal" else numbers

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.shape))})"


class RunNoise(ABC):
    """Random numbers of one run, which depend on its seed and the step alone.

    The requests of a step must be the same at every step: kinds, shapes and order.
    """

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"noise has no {name!r}; use {REQUESTS}")

    def uniform(self, *shape: int) -> Tensor:
        """Draw uniform numbers in the open interval (0, 1), in the run's format."""
        return self._next(Request("uniform", _whole("uniform", shape)))

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers, in the run's format."""
        return self._next(Request("normal", _whole("normal", shape)))

    def dropout(self, x: Tensor, p: float | Tensor) -> Tensor:
        """Set entries to 0, with probability `p` each, and divide the others by 1 - p.

        Args:
            x: Tensor of any shape.
            p: Probability in [0, 1): a number, or a tensor without axes.

        Raises:
            TaskMistake: If a number is out of its range.
        """
        if not isinstance(p, Tensor):
            if not 0 <= p < 1:
                raise TaskMistake(f"noise.dropout: expected p in [0, 1), got {p}")
            if p == 0:
                return x
        kept = self._next(Request("uniform", tuple(x.shape))) >= p
        return x * (kept.to(x.dtype) / (1 - p))  # one product has a gradient, as in torch

    @abstractmethod
    def _next(self, request: Request) -> Tensor:
        """Return the numbers of the next request."""


class Recorder(RunNoise):
    """Noise that draws what is requested, and remembers the requests.

    Args:
        dtype: Floating point format of the numbers.
        device: Device of the numbers.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.requests: list[Request] = []
        self.drawn: list[Tensor] = []
        self._noise = Noise(seeds=[0], purpose="stacked/probe")
        self._format = dtype, device

    def _next(self, request: Request) -> Tensor:
        [numbers] = request.draw(self._noise, 1, *self._format)
        self.requests.append(request)
        self.drawn.append(numbers)
        return numbers


class Drawn(RunNoise):
    """Noise whose numbers have been drawn for the requests that a step makes.

    Args:
        requests: Requests of a step, in order.
        numbers: Numbers of this run for each of them.
    """

    def __init__(self, requests: Sequence[Request], numbers: Sequence[Tensor]) -> None:
        self._requests, self._numbers, self._index = requests, numbers, 0

    def _next(self, request: Request) -> Tensor:
        index = self._index
        self._index += 1
        if index >= len(self._requests):
            raise _changed(f"got one more, noise.{request}", len(self._requests))
        if request != self._requests[index]:
            expected = self._requests[index]
            raise _changed(f"got noise.{request} after noise.{expected}", len(self._requests))
        return self._numbers[index]

    def check_all_used(self) -> None:
        """Check that the step has made all its requests.

        Raises:
            TaskMistake: If it has made fewer.
        """
        if self._index < len(self._requests):
            raise _changed(f"got no more after {self._index}", len(self._requests))


class NoNoise(RunNoise):
    """Noise of an evaluation: dropout is off, and there are no random numbers."""

    def dropout(self, x: Tensor, p: float | Tensor) -> Tensor:
        """Return `x`."""
        return x

    def _next(self, request: Request) -> Tensor:
        raise TaskMistake(
            f"got noise.{request} of NO_NOISE, which has no random numbers; use the mean, or draw "
            "in the loss only"
        )


NO_NOISE = NoNoise()
"""Noise for the evaluation of a module that takes one."""


def _whole(kind: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return a shape as Python's numbers.

    Raises:
        TaskMistake: If it is none.
    """
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = (-1,)
    if any(size < 0 for size in sizes):
        given = ", ".join(str(s) if isinstance(s, int | float) else type(s).__name__ for s in shape)
        raise TaskMistake(
            f"noise.{kind}: expected whole numbers, as in noise.{kind}(*x.shape), got {given}"
        )
    return sizes


def _changed(difference: str, count: int) -> TaskMistake:
    return TaskMistake(
        f"the loss must request the same random numbers at every step, {count} in the first; "
        f"{difference}; draw all of them always, and choose by torch.where"
    )
