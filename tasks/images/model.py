"""Base of the models of images: inputs and targets, evaluations, and what all replicas share."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.images.batches import Images
from raysweep.tasks.images.bounds import EVALUATION_ROWS, Codes, active_units, multi_sample_bound
from raysweep.tasks.images.settings import ImageSettings
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import Model

LEAST, MOST = 1e-3, 1 - 1e-3  # mean grey values are clamped before they become log-odds
CodesOf = Callable[[Tensor, Tensor], Codes]
"""Function from inputs and targets, as `split` returns them, to codes of the same images."""


class ImageModel(Model):
    """Model of images, or of one part of them given the other, with a discrete code.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica.
        device: Device of parameters and images.
        loss: Name of the minimised loss in metrics.
        encoded: Number of pixels that the code is drawn from, the first ones; the others are the
            target. If None, all are encoded and all are the target.
        further: Names of the metrics that evaluations report besides losses and bounds.
    """

    def __init__(
        self,
        settings: ImageSettings,
        seeds: Sequence[int],
        device: torch.device,
        *,
        loss: str,
        encoded: int | None,
        further: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.loss, self._encoded = loss, encoded
        self._image_settings = settings
        self.images = Images(settings, seeds, device)
        self.center: Tensor | None = None
        if settings.center_input:
            self.center, _ = self._split(self.images.mean())
        self._noises = {
            purpose: Noise(seeds=list(seeds), purpose=purpose)
            for purpose in ("evaluate", "evaluate valid", "bound", "bound valid", *further)
        }
        self._latest: LastEvaluation | None = None
        if settings.evaluate_every is not None:
            parts = ["valid", "test"] if len(self.images.valid) else ["test"]
            names = [f"{part}_{name}" for part in parts for name in (loss, "neg_bound")]
            self._latest = LastEvaluation([*names, *further], len(seeds), device)

    @abstractmethod
    def codes(self, x: Float[Tensor, "R B D"], target: Float[Tensor, "R B T"]) -> Codes:
        """Return the codes of some images.

        Args:
            x: Encoded part of the images, as `split` returns it.
            target: Target of the same images.
        """

    def split(self, x: Float[Tensor, "R B D"]) -> tuple[Tensor, Tensor]:
        """Return the encoder's input, centred if so set, and the decoder's target."""
        encoded, decoded = self._split(x)
        return encoded if self.center is None else encoded - self.center, decoded

    def _split(self, x: Float[Tensor, "*B D"]) -> tuple[Tensor, Tensor]:
        return x[..., : self._encoded], x[..., self._encoded or 0 :]

    def target_odds(self) -> Float[Tensor, " T"]:
        """Return the log-odds of the mean training image's target."""
        _, targets = self._split(self.images.mean())
        return targets.clamp(LEAST, MOST).logit()

    def evaluated(self, step: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the last evaluation, made at the first step of an interval."""
        every = self._image_settings.evaluate_every
        if self._latest is None or every is None:
            return {}
        if step % every == 0:
            with torch.no_grad():
                self._latest.hold(self.evaluate())
        return self._latest.metrics()

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return bounds of the test images, and of the validation images if there are any."""
        metrics: dict[str, Tensor] = {}
        further: dict[str, Tensor] = {}
        for part, suffix in (("valid", " valid"), ("test", "")):
            images = getattr(self.images, part)
            if len(images) > 0:
                losses, further = self._evaluate(images, suffix)
                metrics.update({f"{part}_{name}": value for name, value in losses.items()})
        for name, codes in self.other_codes().items():
            further[name] = self._other_bound(codes, self._noises[name])
        return {**metrics, **further}

    def other_codes(self) -> Mapping[str, CodesOf]:
        """Return functions to other codes of test images, by the names of their bounds."""
        return {}

    def _evaluate(
        self, images: Float[Tensor, "M D"], suffix: str
    ) -> tuple[dict[str, Float[Tensor, " R"]], dict[str, Float[Tensor, " R"]]]:
        """Return means over some images, in parts, and the active units if they are counted.

        The noise of a part is at its index.
        """
        settings, replicas = self._image_settings, self._replicas()
        totals = torch.zeros(2, replicas, dtype=torch.float64, device=images.device)
        moments: Tensor | None = None
        noise, bound_noise = self._noises["evaluate" + suffix], self._noises["bound" + suffix]
        for index, rows in enumerate(images.split(EVALUATION_ROWS)):
            codes = self.codes(*self.split(rows.expand(replicas, -1, -1)))
            if (some := codes.moments()) is not None:
                moments = some if moments is None else moments + some
            noise.at(index)
            one = codes.mean_loss(noise, settings.evaluation_samples)
            many = multi_sample_bound(codes, bound_noise, settings.bound_samples, index)
            totals += torch.stack((one.sum(1, dtype=torch.float64), many.sum(1)))
        loss, bound = totals / len(images)
        units = {} if moments is None else {"active_units": active_units(moments, len(images))}
        return {self.loss: loss, "neg_bound": bound}, units

    def _other_bound(self, codes: CodesOf, noise: Noise) -> Float[Tensor, " R"]:
        """Return the mean multi-sample bound of the test images with other codes."""
        images, samples = self.images.test, self._image_settings.bound_samples
        total = torch.zeros(self._replicas(), dtype=torch.float64, device=images.device)
        for index, rows in enumerate(images.split(EVALUATION_ROWS)):
            some = codes(*self.split(rows.expand(self._replicas(), -1, -1)))
            total += multi_sample_bound(some, noise, samples, index).sum(1)
        return total / len(images)

    def _replicas(self) -> int:
        return len(next(self.parameters()))

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        self.images.select(keep)
        for noise in self._noises.values():
            noise.select(keep)
