"""Base of the tasks with an encoder, a discrete code and a decoder."""

import dataclasses
from abc import abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link
from raysweep.estimators.method import Target
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Replica, Task
from raysweep.tasks.training.loop import GradientTraining, training_bytes
from raysweep.tasks.vae.model import Design, EncoderDecoder
from raysweep.tasks.vae.priors import Prior
from raysweep.tasks.vae.settings import EncoderDecoderSettings, VaeSettings

Settings = TypeVar("Settings", bound=EncoderDecoderSettings)


class EncoderDecoderTask(Task[Estimator], Generic[Settings]):
    """Task with an encoder, a discrete code and a decoder; a subclass adds code and prior."""

    family: ClassVar[str] = "categorical"
    targets: ClassVar[frozenset[Target]] = frozenset({"mean", "bound"})

    @abstractmethod
    def design(self, settings: Settings) -> Design:
        """Return the code and all else that the task decides, without the prior."""

    @abstractmethod
    def prior(self, settings: Settings, replicas: int, device: torch.device) -> Prior | None:
        """Return the prior of the codes, or None."""

    def check(self, settings: Settings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None; read no data."""
        if (reason := settings.batch_refusal()) is not None:
            return reason
        is_analytic = isinstance(settings, VaeSettings) and settings.divergence == "analytic"
        if estimator.target == "bound" and is_analytic:
            return (
                f"{estimator.name} estimates a bound whose weights contain log q - log p of each "
                "sample, and needs divergence sampled, got analytic"
            )
        code = self.design(settings).code
        return estimator.check(code.latents, code.categories)

    def prepare(self, settings: Settings, folder: Path | None) -> None:
        """Download the data set into a folder, the default one if None, unless it is there."""
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: Settings, estimator: Estimator) -> int:
        """Return the bytes of nets, optimizer state and layer outputs; read no data."""
        design = self.design(settings)
        encoder, decoder = design.widths(settings)
        encoding, decoding = (
            sum((inputs + 1) * outputs for inputs, outputs in pairwise(net))
            for net in (encoder, decoder)
        )
        evaluations = estimator.evaluations(design.code.latents, design.code.categories)
        outputs = settings.batch_size * (sum(encoder) + evaluations * sum(decoder))
        moments = 2 * encoding * DTYPES[settings.dtype].itemsize
        return training_bytes(encoding + decoding, outputs, settings) + (
            moments if settings.gradient_variance else 0
        )

    def start(
        self,
        settings: Settings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build a pack's training at step 0; the encoder's input is the estimator's context."""
        model = self.model(settings, [replica.seed for replica in replicas], device, estimator.link)
        code, context = model.code, model.encoder.inputs
        estimator.build(code.latents, code.categories, context=context, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        window = model.images.steps_per_epoch
        return GradientTraining(model, estimator, settings, replicas, default_window=window)

    def model(
        self,
        settings: Settings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> EncoderDecoder:
        """Build the nets, the prior and the images of replicas with these seeds."""
        prior = self.prior(settings, len(seeds), device)
        design = dataclasses.replace(self.design(settings), prior=prior)
        return EncoderDecoder(settings, design, seeds, device, link)
