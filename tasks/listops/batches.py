"""Batches of expressions of similar length."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.training.batches import BatchSampler

LEAST_BATCHES = 2
"""Batches that a bucket holds at least, or else there are fewer buckets."""


class BucketSampler:
    """Sampler of batches from buckets of similar length.

    In every epoch, each bucket's examples are shuffled by each replica's seed and divided into
    batches; an incomplete last one is dropped. The order of the buckets is random, but the same
    for all seeds: so all replicas of a pack have batches of the same padded width, which random
    numbers and results do not depend on the pack for. Only the step needs to be saved.

    Args:
        lengths: Number of tokens of every example.
        seeds: Seed of each replica.
        batch_size: Number of examples per replica and step, `B`.
        buckets: Number of buckets; fewer if they would hold fewer than two batches.

    Raises:
        ValueError: If a batch is larger than the data set.
    """

    def __init__(
        self, lengths: Int[Tensor, " N"], seeds: Sequence[int], batch_size: int, buckets: int
    ) -> None:
        examples = len(lengths)
        if batch_size > examples:
            raise ValueError(
                f"batch_size must be at most {examples}, the training expressions, got {batch_size}"
            )
        count = max(1, min(buckets, examples // (LEAST_BATCHES * batch_size)))
        self._members = lengths.argsort(stable=True).tensor_split(count)
        self._widths = [int(lengths[members].max()) for members in self._members]
        self._orders = [
            BatchSampler(seeds, len(members), batch_size, lengths.device)
            for members in self._members
        ]
        batches = [order.steps_per_epoch for order in self._orders]
        self._steps = torch.tensor(
            [(bucket, index) for bucket, steps in enumerate(batches) for index in range(steps)]
        )
        self.steps_per_epoch = len(self._steps)
        self._epoch = -1
        self._order: list[list[int]] = []

    def batch(self, step: int) -> tuple[Int[Tensor, "R B"], int]:
        """Return the indices of the examples of a step, from 0, and their padded width."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            keys = Noise(epoch, purpose="buckets").uniform(
                self.steps_per_epoch, dtype=torch.float64
            )
            self._order = self._steps[keys.argsort(stable=True)].tolist()
            self._epoch = epoch
        bucket, index = self._order[position]
        order = self._orders[bucket]
        rows = order.batch(epoch * order.steps_per_epoch + index)
        return self._members[bucket][rows], self._widths[bucket]

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        for order in self._orders:
            order.select(keep)
