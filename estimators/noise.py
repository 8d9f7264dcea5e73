"""Random numbers that depend on seeds and steps alone, never on the other replicas."""

import hashlib
import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from raysweep.estimators.carrying import is_traced

Kind = Literal["uniform", "exponential"]


class _Block(NamedTuple):
    """Numbers of one request for consecutive steps, one ready-made view per step."""

    request: tuple[Kind, tuple[int, ...], torch.dtype | None, torch.device | str | None]
    first_step: int
    steps: list[Tensor]


class Noise:
    """Streams of uniforms and exponentials keyed by seed, purpose and order of the requests.

    With `seed` all axes of a request belong to one stream. With `seeds` the first axis of every
    request has one entry per seed, and entry r is what a `Noise` of that seed alone would give for
    the remaining axes: it depends neither on the number of replicas nor on the other seeds.

    Before `at`, every request draws its own numbers, and the n-th request of a stream is always the
    same. After `at(step)`, request i of a step is a slice of a block drawn for consecutive
    steps at once; the numbers of a step are the same in whatever order steps are visited, so a
    checkpoint needs the step and nothing else. Returned tensors are shared: do not write to them.

    Numbers depend on the kind of device as well, and a float32 and a float64 request differ.
    Torch's CPU generator keeps only the low 32 bits of its 64-bit key.

    Args:
        seed: The seed of a single stream.
        seeds: One seed per replica, instead of `seed`; they may repeat.
        purpose: Name that separates streams of the same seed which must not repeat each other.

    Raises:
        ValueError: If both `seed` and `seeds` are given, or `seeds` is empty.
    """

    FORMAT: ClassVar[int] = 1
    """Raised whenever a seed's numbers change. Format 1: key = first 8 bytes of BLAKE2b over
    `repr((seed, purpose, block, request))`, where `block` is None before `at`; a block holds
    `min(max(BLOCK_NUMBERS // n, 1), BLOCK_STEPS)` steps, with n numbers per replica and step."""
    BLOCK_NUMBERS: ClassVar[int] = 2**18
    BLOCK_STEPS: ClassVar[int] = 50

    def __init__(
        self, seed: int = 0, *, seeds: Sequence[int] | None = None, purpose: str = "noise"
    ) -> None:
        if seeds is not None and seed != 0:
            raise ValueError(f"noise takes seed or seeds, got seed={seed} and seeds={list(seeds)}")
        if seeds is not None and len(seeds) == 0:
            raise ValueError("seeds must hold at least one seed, got none")
        self.seeds = None if seeds is None else tuple(int(one) for one in seeds)
        self.seed = int(seed)
        self.purpose = purpose
        self._step: int | None = None
        self._request = 0
        self._blocks: dict[int, _Block] = {}

    def at(self, step: int) -> None:
        """Go to a step: the next request is the step's first one.

        Raises:
            ValueError: If `step` is negative.
        """
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}")
        self._step = step
        self._request = 0

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw uniform numbers in the open interval (0, 1).

        Args:
            shape: Shape of the result; with `seeds`, its first entry is the number of seeds.
            dtype: The numbers' dtype, torch's default if None.
            device: The numbers' device, the CPU if None.

        Raises:
            ValueError: If the first axis does not have one entry per seed.
        """
        return self._next(("uniform", shape, dtype, device))

    def exponential(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw standard exponential numbers, in float64 so that float32 keeps both tails.

        Args:
            shape: Shape of the result; with `seeds`, its first entry is the number of seeds.
            dtype: The numbers' dtype, torch's default if None.
            device: The numbers' device, the CPU if None.

        Raises:
            ValueError: If the first axis does not have one entry per seed.
        """
        return self._next(("exponential", shape, dtype, device))

    def select(self, keep: Tensor) -> None:
        """Keep some replicas, and drop the others.

        Args:
            keep: A boolean mask over the present replicas, or a tensor of their indices.

        Raises:
            ValueError: If there are no replicas, or the mask has another length.
        """
        if self.seeds is None:
            raise ValueError("select needs a noise of replicas, got one seed; construct with seeds")
        if keep.dtype == torch.bool and len(keep) != len(self.seeds):
            raise ValueError(f"mask must have {len(self.seeds)} entries, got {len(keep)}")
        rows = keep.nonzero().flatten() if keep.dtype == torch.bool else keep
        self.seeds = tuple(self.seeds[row] for row in rows.tolist())
        self._blocks.clear()

    def replica_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the part of a request's shape that belongs to one replica."""
        return tuple(shape if self.seeds is None else shape[1:])

    def block_steps(self, *replica_shape: int) -> int:
        """Return the number of steps drawn at once, for a request of this shape per replica."""
        numbers = max(1, math.prod(replica_shape))
        return min(max(self.BLOCK_NUMBERS // numbers, 1), self.BLOCK_STEPS)

    def _next(
        self, request: tuple[Kind, tuple[int, ...], torch.dtype | None, torch.device | str | None]
    ) -> Tensor:
        index = self._request
        self._request = index + 1
        if self._step is None:
            self._check(request[1])
            return self._draw(request, index, None, 1)[0]
        block = self._blocks.get(index)
        if block is not None and block.request == request:
            offset = self._step - block.first_step
            if 0 <= offset < len(block.steps):
                return block.steps[offset]
        return self._new_block(request, index, self._step)

    def _new_block(
        self,
        request: tuple[Kind, tuple[int, ...], torch.dtype | None, torch.device | str | None],
        index: int,
        step: int,
    ) -> Tensor:
        self._check(request[1])
        self._blocks.pop(index, None)  # frees the old block before the new one is drawn
        steps = self.block_steps(*self.replica_shape(request[1]))
        number, offset = divmod(step, steps)
        drawn = list(self._draw(request, index, number, steps).unbind(0))
        if steps > 1:  # a block of one step is used once: keeping it would only hold memory
            self._blocks[index] = _Block(request, step - offset, drawn)
        return drawn[offset]

    def _check(self, shape: tuple[int, ...]) -> None:
        if self.seeds is not None and (not shape or shape[0] != len(self.seeds)):
            raise ValueError(
                f"the first axis must have one entry for each of {len(self.seeds)} seeds, "
                f"got shape {tuple(shape)}"
            )

    def _draw(
        self,
        request: tuple[Kind, tuple[int, ...], torch.dtype | None, torch.device | str | None],
        index: int,
        block: int | None,
        steps: int,
    ) -> Tensor:
        kind, shape, dtype, device = request
        draw = _exponential if kind == "exponential" else _uniform
        inner = (steps, *self.replica_shape(shape))
        keys = {
            seed: _key(seed, self.purpose, block, index)
            for seed in ((self.seed,) if self.seeds is None else self.seeds)
        }
        streams = {
            seed: draw(
                inner,
                torch.Generator(device="cpu" if device is None else device).manual_seed(key),
                torch.get_default_dtype() if dtype is None else dtype,
            )
            for seed, key in keys.items()
        }
        if self.seeds is None:
            return streams[self.seed]
        return torch.stack([streams[seed] for seed in self.seeds], dim=1)


class TorchNoise(Noise):
    """Numbers of one of torch's generators: for compiled code, which cannot make keyed streams.

    They depend on all that was drawn before, and have no steps to go to.

    Args:
        generator: Generator of the numbers, on their device; torch's global one if None, which is
            the only one that compiled code takes.

    Raises:
        TypeError: If the generator is none.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(
                f"generator must be a torch.Generator, got {type(generator).__name__}; "
                "Noise takes a seed"
            )
        self.generator = generator

    def at(self, step: int) -> None:
        """Refuse to go to a step, which a generator of torch cannot.

        Raises:
            ValueError: Always.
        """
        raise ValueError("numbers of torch's generators have no steps; use a Noise with a seed")

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw uniform numbers in (0, 1)."""
        if is_traced():  # where nothing can be drawn in place, and a compiler takes no generator
            if self.generator is None:
                drawn = torch.rand(shape, dtype=dtype, device=device)
            else:
                drawn = torch.rand(shape, generator=self.generator, dtype=dtype, device=device)
            return drawn.clamp(min=torch.finfo(drawn.dtype).tiny)
        drawn = torch.empty(shape, dtype=dtype, device=device)
        return drawn.uniform_(torch.finfo(drawn.dtype).tiny, 1, generator=self.generator)

    def exponential(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw standard exponential numbers, > 0, in float64 so that float32 keeps both tails."""
        return -self.uniform(*shape, dtype=torch.float64, device=device).log().to(dtype)


def _key(seed: int, purpose: str, block: int | None, request: int) -> int:
    text = repr((seed, purpose, block, request))
    return int.from_bytes(hashlib.blake2b(text.encode()).digest()[:8], "big")


def _uniform(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    numbers = torch.rand(shape, generator=generator, dtype=dtype, device=generator.device)
    # torch gives multiples of eps/2 in [0, 1): only 0 must move, by half a step
    least = torch.finfo(dtype).eps / 4
    return numbers.clamp(min=least) if is_traced() else numbers.clamp_(min=least)


def _exponential(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    numbers = _uniform(shape, generator, torch.float64)
    return (-numbers.log() if is_traced() else numbers.log_().neg_()).to(dtype)
