"""Variational autoencoder with categorical latent variables."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch

from raysweep.tasks.base import DTYPES, Metric, setting
from raysweep.tasks.vae.base import EncoderDecoderTask
from raysweep.tasks.vae.codes import Integer, OneHot
from raysweep.tasks.vae.metrics import VAE_METRICS
from raysweep.tasks.vae.model import Design
from raysweep.tasks.vae.priors import Learned, Prior, Uniform
from raysweep.tasks.vae.settings import VaeSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalVaeSettings(VaeSettings):
    """Settings of `CategoricalVae`.

    Defaults follow Liu et al. (2023), arXiv:2304.08612, section 6.3, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    categories: int = setting(8, "number of values of each latent variable, C")
    prior: Literal["fixed", "learned"] = setting(
        "fixed", "p(D): uniform, or independent with logits that start at 0 and are learned"
    )
    codes: Literal["one_hot", "integer"] = setting(
        "one_hot", "input of the decoder: L * C zeros and ones, or L numbers 0 to C - 1"
    )
    steps: int = setting(96_000, "parameter updates: 160 epochs of MNIST")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories < 2:
            raise ValueError(f"categories must be at least 2, got {self.categories}")


class CategoricalVae(EncoderDecoderTask[CategoricalVaeSettings]):
    """Minimisation of the negative ELBO, E_q[-log p(x | D)] + KL(q(D | x) || p(D)).

    By default targets are grey values, not binarised, as in the paper's code, and the prior is
    uniform; the divergence is exact, where that code adds 1e-10 inside the logarithm. Nets are
    initialised as by torch.

    References:
        Liu et al. (2023), arXiv:2304.08612, sections 6.3 and F; with other settings Dong, Mnih,
        Tucker (2021), arXiv:2106.08056, section 4.
    """

    name: ClassVar[str] = "categorical_vae"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = CategoricalVaeSettings
    metrics: ClassVar[Mapping[str, Metric]] = VAE_METRICS

    def design(self, settings: CategoricalVaeSettings) -> Design:
        """Return the code, one-hot or integer."""
        sizes = settings.latents, settings.categories
        return Design(OneHot(*sizes) if settings.codes == "one_hot" else Integer(*sizes))

    def prior(self, settings: CategoricalVaeSettings, replicas: int, device: torch.device) -> Prior:
        """Return the prior, uniform or learned."""
        sizes = settings.latents, settings.categories
        if settings.prior == "fixed":
            return Uniform(*sizes)
        return Learned(replicas, *sizes, dtype=DTYPES[settings.dtype], device=device)
