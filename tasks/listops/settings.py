"""Settings of unsupervised parsing."""

import dataclasses
from typing import Literal

from raysweep.tasks.base import check_interval, setting
from raysweep.tasks.listops.expressions import TOKEN_LIMIT
from raysweep.tasks.training.schedules import ScheduledSettings

LEAST_TOKENS, MAX_TOKENS = 17, TOKEN_LIMIT - 1
"""Bounds of `max_tokens`: an expression of four nested operators, the deepest group that is
reported, has 17 tokens or more. With fewer there may not be enough distinct ones to generate."""
GENERATED_TRAINING, GENERATED_TEST = 90_000, 10_000
"""Sizes of the generated sets, those of the published ones."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListOpsSettings(ScheduledSettings):
    """Settings of `ListOps`.

    Defaults follow Liu et al. (2023), arXiv:2304.08612, appendix F.2, with ReinMax's learning
    rate, and the code of Fan et al. (2022), arXiv:2206.07235.

    Raises:
        ValueError: If a value is out of its range.
    """

    training_set: Literal["official", "regenerated", "generated"] = setting(
        "official",
        "training expressions: the published file; a file of 90,000 others of the same grammar; "
        "or others of the same grammar, generated without a file",
    )
    test_set: Literal["official", "generated"] = setting(
        "official", "test expressions: the published file, or others of the same grammar"
    )
    validation_set: Literal["training", "official_subset"] = setting(
        "training",
        "validation expressions: the last training expressions, or a file of 1,000 of the official "
        "ones; they are left out of training",
    )
    validation_examples: int = setting(
        1000, "number of validation expressions; of a file the first ones, at most all", smoke=200
    )
    training_examples: int | None = setting(
        None, "number of training expressions, the first ones; all, or 90,000 generated, if not set"
    )
    evaluation_examples: int | None = setting(
        None,
        "number of test expressions, the first ones, at most all; all, or 10,000 generated, if not "
        "set",
        smoke=200,
    )
    max_tokens: int = setting(
        MAX_TOKENS,
        "largest number of tokens of an expression; longer ones are left out of every set",
    )
    data_seed: int = setting(0, "seed of generated expressions, the same for runs of every seed")
    buckets: int = setting(
        20, "groups of training expressions by length; a batch is drawn from one of them"
    )
    embedding_units: int = setting(300, "width of a token's embedding")
    hidden_units: int = setting(300, "width of the states of both LSTMs")
    classifier_units: int = setting(300, "width of the classifier's hidden layer")
    dropout: float = setting(
        0.5, "share of dropped numbers in embeddings and in the classifier, in [0, 1)"
    )
    gradient_clip: float | None = setting(
        5.0,
        "largest norm of a run's gradient, to which larger ones are scaled; no limit if not set",
    )
    lr_factor: float = setting(
        0.5, "factor of the learning rate where valid_accuracy stays, in (0, 1]; 1 for none"
    )
    lr_patience: int = setting(
        4, "validations in a row without a better valid_accuracy that keep the learning rate"
    )
    validate_every: int | None = setting(
        None,
        "steps between two validations, a multiple of report_every; half an epoch, rounded up to "
        "such a multiple, if not set",
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("radam", "update rule")
    lr: float = setting(7e-4, "learning rate, > 0, before any reduction", per_replica=True)
    steps: int = setting(96_000, "parameter updates: 20 epochs")
    batch_size: int = setting(16, "expressions per update")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "validation_examples",
            "training_examples",
            "evaluation_examples",
            "buckets",
            "embedding_units",
            "hidden_units",
            "classifier_units",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not LEAST_TOKENS <= self.max_tokens <= MAX_TOKENS:
            raise ValueError(
                f"max_tokens must be in {LEAST_TOKENS}..{MAX_TOKENS}, got {self.max_tokens}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ValueError(f"gradient_clip must be positive, got {self.gradient_clip}")
        if not 0 < self.lr_factor <= 1:
            raise ValueError(f"lr_factor must be in (0, 1], got {self.lr_factor}")
        if self.lr_patience < 0:
            raise ValueError(f"lr_patience must be >= 0, got {self.lr_patience}")
        check_interval(self.validate_every, self.report_every, "validate_every")
