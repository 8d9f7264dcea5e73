"""Batches of examples, by replica and step."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


class BatchSampler:
    """Sampler of batches without replacement, reshuffled every epoch by each replica's seed.

    Epoch e's permutation is a function of (seed, e) alone, and the batch of a step is a slice of
    it; an incomplete last batch is dropped. So only the step needs to be saved.

    Args:
        seeds: Seed of each replica.
        examples: Number of examples in the data set.
        batch_size: Number of examples per replica and step, `B`.
        device: Device of the indices.
        purpose: Name that separates orders of the same seed which must not repeat each other.

    Raises:
        ValueError: If a batch is larger than the data set.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        examples: int,
        batch_size: int,
        device: torch.device | str,
        purpose: str = "order",
    ) -> None:
        if not 1 <= batch_size <= examples:
            raise ValueError(f"batch_size must be in 1..{examples}, the examples, got {batch_size}")
        self.steps_per_epoch = examples // batch_size
        self._seeds = list(seeds)
        self._examples = examples
        self._batch_size = batch_size
        self._device = torch.device(device)
        self._purpose = purpose
        self._epoch = -1
        self._batches: Int[Tensor, "T R B"] = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Int[Tensor, "R B"]:
        """Return the indices of the examples at a step, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._batches = self._shuffle(epoch)
            self._epoch = epoch
        return self._batches[position]

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self._seeds = torch.tensor(self._seeds)[keep.cpu()].tolist()
        self._epoch = -1

    def _shuffle(self, epoch: int) -> Int[Tensor, "T R B"]:
        # Sort random keys instead of calling a shuffle: NumPy guarantees Philox's raw stream in
        # every version, and a stable sort of integers is the same on every device.
        keys = np.stack([_keys(self._purpose, seed, epoch, self._examples) for seed in self._seeds])
        order = torch.from_numpy(keys).to(self._device).argsort(dim=1, stable=True)
        used = order[:, : self.steps_per_epoch * self._batch_size]
        batches = used.unflatten(1, (self.steps_per_epoch, self._batch_size))
        return batches.transpose(0, 1).contiguous()


def _keys(purpose: str, seed: int, epoch: int, count: int) -> np.ndarray:
    """Return random 63-bit integers, a function of purpose, seed and epoch."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{epoch}".encode()).digest()
    raw = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)
    return (raw >> np.uint64(1)).astype(np.int64)
