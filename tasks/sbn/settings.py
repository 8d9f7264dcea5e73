"""Settings of the belief networks: layers of stochastic units, and the maps between them."""

import dataclasses
from typing import Literal

from raysweep.tasks.base import setting
from raysweep.tasks.images.settings import DATASETS, ImageSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeliefSettings(ImageSettings):
    """Settings of a network of several layers of stochastic binary units, over images.

    Defaults follow Tucker et al. (2017), arXiv:1703.07370, appendix G, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: str = setting("binarized_mnist", "images to model", known=DATASETS)
    validation_examples: int = setting(
        10_000, "number of validation images: the data set's own, or else the last training images"
    )
    latents: tuple[int, ...] = setting(
        (200,), "units of each stochastic layer, from the one next to the encoded image on"
    )
    conditional: Literal["linear", "nonlinear"] = setting(
        "linear",
        "map between two layers: linear, or with hidden layers of tanh units in between",
    )
    hidden: tuple[int, ...] = setting(
        (200, 200),
        "widths of the tanh layers in every map",
        only_if={"conditional": ("nonlinear",)},
    )
    initialisation: Literal["torch", "glorot", "variance_scaling"] = setting(
        "variance_scaling",
        "uniform in ±1/sqrt(inputs), biases too; Glorot's uniform, biases 0; or a truncated normal "
        "of variance 2/inputs, biases 0",
    )
    center_input: bool = setting(True, "subtract the mean training image from the encoder's input")
    output_bias_from_data: bool = setting(
        True, "start the last bias at the log-odds of the mean training image"
    )
    batch_size: int = setting(24, "examples per update")
    beta2: float = setting(0.99999, "decay of the second moment (adam, radam)", per_replica=True)
    tuning_beta2: float = setting(
        0.99999, "decay of the second moment of the estimator's parameters", per_replica=True
    )
    steps: int = setting(2_000_000, "parameter updates")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.latents or any(units < 1 for units in self.latents):
            raise ValueError(
                f"latents must be one layer or more of at least 1 unit, got {list(self.latents)}"
            )
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden widths must be at least 1, got {list(self.hidden)}")

    @property
    def map_hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers in every map; none if maps are linear."""
        return self.hidden if self.conditional == "nonlinear" else ()
