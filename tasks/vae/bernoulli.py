"""Variational autoencoder with binary latent variables."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch

from raysweep.tasks.base import DTYPES, Metric, setting
from raysweep.tasks.vae.base import EncoderDecoderTask
from raysweep.tasks.vae.codes import Bits
from raysweep.tasks.vae.metrics import VAE_METRICS
from raysweep.tasks.vae.model import Design
from raysweep.tasks.vae.priors import Learned, Mispaired, Prior, Uniform
from raysweep.tasks.vae.settings import VaeSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class BernoulliVaeSettings(VaeSettings):
    """Settings of `BernoulliVae`.

    Defaults follow Shi et al. (2022), arXiv:2202.09497, section 6.2, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    binarisation: Literal["none", "threshold", "static", "dynamic"] = setting(
        "dynamic",
        "as in categorical_vae; the code of Liu et al. (2023) has static under the name dynamic",
    )
    validation_examples: int = setting(
        10_000, "number of validation images: the data set's own, or else the last training images"
    )
    latents: int = setting(200, "binary latent variables, L")
    hidden: tuple[int, ...] = setting(
        (200, 200), "widths of the encoder's hidden layers; the decoder mirrors them"
    )
    activation: Literal["relu", "leaky_relu", "tanh"] = setting(
        "leaky_relu", "activation of the hidden layers"
    )
    slope: float = setting(
        0.3, "slope of leaky_relu below zero, in [0, 1)", only_if={"activation": ("leaky_relu",)}
    )
    initialisation: Literal["torch", "glorot"] = setting(
        "glorot", "uniform in ±1/sqrt(inputs), biases too; or Glorot's uniform, biases 0"
    )
    divergence: Literal["analytic", "sampled"] = setting(
        "sampled", "KL(q || prior) in training: exact, or log q - log p of the sampled codes"
    )
    prior: Literal["fixed", "learned", "mispaired"] = setting(
        "fixed",
        "p(b): uniform; independent with learned logits; or these read in the wrong order, "
        "as in the code of Liu et al. (2023)",
    )
    logits: Literal["standard", "reflected"] = setting(
        "standard",
        "logits of the encoder's output h: (0, h), or (1 - h, h) as in Liu et al. (2023)'s code",
    )
    codes: Literal["bits", "signs"] = setting("bits", "input of the decoder: 0 and 1, or -1 and 1")
    steps: int = setting(1_000_000, "parameter updates")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior == "mispaired" and self.latents % 2:
            raise ValueError(f"prior mispaired needs an even number of latents, got {self.latents}")


class BernoulliVae(EncoderDecoderTask[BernoulliVaeSettings]):
    """Minimisation of E_q[-log p(x | b) + log q(b | x) - log p(b)], where b has L bits.

    The public code of Liu et al. (2023) differs from that of Shi et al. (2022), whose numbers
    its table 6 repeats: images binarised once instead of anew for every batch, other
    logits, a learned prior (read in the wrong order), and an exact divergence. Each of these is a
    setting here, so that estimators can be compared with either paper's choices.

    References:
        Shi, Zhou, Hwang, Titsias, Mackey (2022), arXiv:2202.09497, section 6.2.
        Liu et al. (2023), arXiv:2304.08612, section 6.5.
    """

    name: ClassVar[str] = "bernoulli_vae"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = BernoulliVaeSettings
    metrics: ClassVar[Mapping[str, Metric]] = VAE_METRICS

    def design(self, settings: BernoulliVaeSettings) -> Design:
        """Return the binary code, as bits or signs."""
        code = Bits(
            settings.latents,
            reflected=settings.logits == "reflected",
            signs=settings.codes == "signs",
        )
        return Design(code)

    def prior(self, settings: BernoulliVaeSettings, replicas: int, device: torch.device) -> Prior:
        """Return the prior: uniform, learned, or learned and read in the wrong order."""
        dtype = DTYPES[settings.dtype]
        if settings.prior == "learned":
            return Learned(replicas, settings.latents, 2, dtype=dtype, device=device)
        if settings.prior == "mispaired":
            return Mispaired(replicas, settings.latents, dtype=dtype, device=device)
        return Uniform(settings.latents, 2)
