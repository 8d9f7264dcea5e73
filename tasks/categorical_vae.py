"""A variational autoencoder with categorical latent variables."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch

from estimators.base import Estimator
from estimators.categorical import Link
from tasks import data
from tasks.base import DTYPES, Metric, Replica, setting
from tasks.gradient_training import GradientTraining
from tasks.vae.codes import Integer, LogitPerCategory, OneHot
from tasks.vae.metrics import VAE_METRICS
from tasks.vae.model import CodedImagesModel, Design, bytes_per_replica, refusal, start
from tasks.vae.priors import Learned, Uniform
from tasks.vae.settings import VaeSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalVaeSettings(VaeSettings):
    """Defaults follow Liu et al. (2023), arXiv:2304.08612, section 6.3, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    categories: int = setting(8, "values of each latent variable, C")
    prior: Literal["fixed", "learned"] = setting(
        "fixed", "p(D): uniform, or independent with logits that start at 0 and are learned"
    )
    codes: Literal["one_hot", "integer"] = setting(
        "one_hot", "what the decoder takes: L * C zeros and ones, or L numbers 0 to C - 1"
    )
    steps: int = setting(96_000, "parameter updates: 160 epochs of MNIST")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories < 2:
            raise ValueError(f"categories must be at least 2, got {self.categories}")


class CategoricalVae:
    """Minimise E_q[-log p(x | D)] + KL(q(D | x) || p(D)): the negative evidence lower bound.

    By default targets are grey values, not binarised, as in the paper's code, and the prior is
    uniform; the divergence is exact, where that code adds 1e-10 inside the logarithm. Nets start
    as torch's defaults.

    References:
        Liu et al. (2023), arXiv:2304.08612, sections 6.3 and F; with other settings Dong, Mnih,
        Tucker (2021), arXiv:2106.08056, section 4.
    """

    name: ClassVar[str] = "categorical_vae"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = CategoricalVaeSettings
    metrics: ClassVar[Mapping[str, Metric]] = VAE_METRICS
    family: ClassVar[str] = "categorical"

    def check(self, settings: CategoricalVaeSettings, estimator: Estimator) -> str | None:
        """Why this pair cannot run, or None. Reads no data."""
        return refusal(settings, settings.categories, estimator)

    def prepare(self, settings: CategoricalVaeSettings, folder: Path | None) -> None:
        """Downloads the data set into a folder, the default one if None, unless it is there."""
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: CategoricalVaeSettings, estimator: Estimator) -> int:
        """Bytes of both nets, their optimizer's state and their layers' outputs. Reads no data."""
        return bytes_per_replica(settings, Design(_code(settings)), estimator)

    def start(
        self,
        settings: CategoricalVaeSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Builds the training of a pack at step 0."""
        model = self.model(settings, [r.seed for r in replicas], device, estimator.link)
        return start(model, settings, replicas, estimator, device)

    def model(
        self,
        settings: CategoricalVaeSettings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> CodedImagesModel:
        """The nets, the prior and the images of replicas with these seeds."""
        sizes = settings.latents, settings.categories
        prior = (
            Uniform(*sizes)
            if settings.prior == "fixed"
            else Learned(len(seeds), *sizes, dtype=DTYPES[settings.dtype], device=device)
        )
        return CodedImagesModel(settings, Design(_code(settings), prior), seeds, device, link)


def _code(settings: CategoricalVaeSettings) -> LogitPerCategory:
    if settings.codes == "one_hot":
        return OneHot(settings.latents, settings.categories)
    return Integer(settings.latents, settings.categories)
