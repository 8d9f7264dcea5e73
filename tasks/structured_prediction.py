"""Predicting the lower half of an image from the upper half, through a binary code."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch

from estimators.base import Estimator
from estimators.categorical import Link
from tasks import data
from tasks.base import Metric, Replica, setting
from tasks.gradient_training import GradientTraining
from tasks.vae.codes import Bits
from tasks.vae.metrics import PREDICTION_METRICS
from tasks.vae.model import CodedImagesModel, Design, bytes_per_replica, refusal, start
from tasks.vae.settings import CodedImagesSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class StructuredPredictionSettings(CodedImagesSettings):
    """Defaults follow Tucker et al. (2017), arXiv:1703.07370, appendix, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: Literal[
        "mnist", "fashion_mnist", "digits", "binarized_mnist", "omniglot", "omniglot_burda"
    ] = setting("binarized_mnist", "images whose lower half is predicted")
    latents: int = setting(200, "binary latent variables, L")
    hidden: tuple[int, ...] = setting(
        (), "widths of the hidden layers before the code, mirrored after it; none: linear"
    )
    activation: Literal["relu", "leaky_relu", "tanh"] = setting("tanh", "of the hidden layers")
    initialisation: Literal["torch", "glorot"] = setting(
        "glorot", "uniform in ±1/sqrt(inputs), biases too; or Glorot's uniform, biases 0"
    )
    center_input: bool = setting(True, "subtract the mean training image from what is encoded")
    output_bias_from_data: bool = setting(
        True, "start the decoder's last bias at the log-odds of the mean training image"
    )
    codes: Literal["bits", "signs"] = setting(
        "signs", "what the decoder takes: 0 and 1, or -1 and 1"
    )
    batch_size: int = setting(24, "examples per update")
    beta2: float = setting(0.99999, "decay of the second moment (adam, radam)", per_replica=True)
    tuning_beta2: float = setting(
        0.99999, "decay of the second moment of what the estimator learns", per_replica=True
    )
    steps: int = setting(2_000_000, "parameter updates")


class StructuredPrediction:
    """Minimise E_{b ~ p(b | upper half)}[-log p(lower half | b)].

    References:
        Raiko, Berglund, Alain, Dinh (2015), arXiv:1406.2989.
        Tucker et al. (2017), arXiv:1703.07370, section 5 and appendix G.
    """

    name: ClassVar[str] = "structured_prediction"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = StructuredPredictionSettings
    metrics: ClassVar[Mapping[str, Metric]] = PREDICTION_METRICS
    family: ClassVar[str] = "categorical"

    def check(self, settings: StructuredPredictionSettings, estimator: Estimator) -> str | None:
        """Why this pair cannot run, or None. Reads no data."""
        return refusal(settings, 2, estimator)

    def prepare(self, settings: StructuredPredictionSettings, folder: Path | None) -> None:
        """Downloads the data set into a folder, the default one if None, unless it is there."""
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: StructuredPredictionSettings, estimator: Estimator) -> int:
        """Bytes of both nets, their optimizer's state and their layers' outputs. Reads no data."""
        return bytes_per_replica(settings, _design(settings), estimator)

    def start(
        self,
        settings: StructuredPredictionSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Builds the training of a pack at step 0."""
        model = self.model(settings, [r.seed for r in replicas], device, estimator.link)
        return start(model, settings, replicas, estimator, device)

    def model(
        self,
        settings: StructuredPredictionSettings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> CodedImagesModel:
        """The nets and the images of replicas with these seeds."""
        return CodedImagesModel(settings, _design(settings), seeds, device, link)


def _design(settings: StructuredPredictionSettings) -> Design:
    return Design(
        Bits(settings.latents, signs=settings.codes == "signs"),
        loss="neg_log_likelihood",
        encoded=data.get(settings.dataset).features // 2,  # whole rows: sides are even
    )
