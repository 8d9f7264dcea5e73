"""Prediction of the lower half of an image from the upper half, through a binary code."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch

from raysweep.tasks.base import Metric, setting
from raysweep.tasks.images.batches import upper_half
from raysweep.tasks.images.settings import DATASETS
from raysweep.tasks.vae.base import EncoderDecoderTask
from raysweep.tasks.vae.codes import Bits
from raysweep.tasks.vae.metrics import PREDICTION_METRICS
from raysweep.tasks.vae.model import Design
from raysweep.tasks.vae.settings import EncoderDecoderSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class StructuredPredictionSettings(EncoderDecoderSettings):
    """Settings of `StructuredPrediction`.

    Defaults follow Tucker et al. (2017), arXiv:1703.07370, appendix, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: str = setting(
        "binarized_mnist", "images whose lower half is predicted", known=DATASETS
    )
    latents: int = setting(200, "binary latent variables, L")
    hidden: tuple[int, ...] = setting(
        (), "widths of the hidden layers before the code, mirrored after it; none: linear"
    )
    activation: Literal["relu", "leaky_relu", "tanh"] = setting(
        "tanh", "activation of the hidden layers"
    )
    initialisation: Literal["torch", "glorot"] = setting(
        "glorot", "uniform in ±1/sqrt(inputs), biases too; or Glorot's uniform, biases 0"
    )
    center_input: bool = setting(True, "subtract the mean training image from the encoder's input")
    output_bias_from_data: bool = setting(
        True, "start the decoder's last bias at the log-odds of the mean training image"
    )
    codes: Literal["bits", "signs"] = setting("signs", "input of the decoder: 0 and 1, or -1 and 1")
    batch_size: int = setting(24, "examples per update")
    beta2: float = setting(0.99999, "decay of the second moment (adam, radam)", per_replica=True)
    tuning_beta2: float = setting(
        0.99999, "decay of the second moment of the estimator's parameters", per_replica=True
    )
    steps: int = setting(2_000_000, "parameter updates")


class StructuredPrediction(EncoderDecoderTask[StructuredPredictionSettings]):
    """Minimisation of E_{b ~ p(b | upper half)}[-log p(lower half | b)].

    References:
        Raiko, Berglund, Alain, Dinh (2015), arXiv:1406.2989.
        Tucker et al. (2017), arXiv:1703.07370, section 5 and appendix G.
    """

    name: ClassVar[str] = "structured_prediction"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = StructuredPredictionSettings
    metrics: ClassVar[Mapping[str, Metric]] = PREDICTION_METRICS

    def design(self, settings: StructuredPredictionSettings) -> Design:
        """Return the binary code between the halves, as bits or signs."""
        return Design(
            Bits(settings.latents, signs=settings.codes == "signs"),
            loss="neg_log_likelihood",
            encoded=upper_half(settings.dataset),
        )

    def prior(
        self, settings: StructuredPredictionSettings, replicas: int, device: torch.device
    ) -> None:
        """Return None: codes are drawn given the upper half."""
