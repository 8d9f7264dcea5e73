"""Metrics of unsupervised parsing."""

from collections.abc import Mapping
from types import MappingProxyType

from raysweep.tasks.base import Metric

DEPTHS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"1": (0, 1), "2": (2, 2), "3": (3, 3), "4_up": (4, 100)}
)
"""Groups of test expressions: the smallest and the largest number of nested operators."""

VALIDATED = ("valid_loss", "valid_accuracy", "valid_f1")
"""Metrics that are measured in training, too."""

_TRAINING = "training expressions, official, regenerated or generated: training_set"
_VALIDATION = "validation expressions, of the training_set or official ones: validation_set"
_TEST = "test expressions, official or generated: test_set"

_F1 = (
    "unlabelled F1 of the greedy trees against the published binary ones, over the spans of all "
    "expressions but those of whole ones; of {of}"
)


def nested_operators(group: str) -> str:
    """Return the numbers of nested operators of a group of `DEPTHS` as text."""
    least, most = DEPTHS[group]
    if most >= 100:
        return f"{least} or more nested operators"
    numbers = f"{least} or {most}" if least < most else f"{least}"
    return f"{numbers} nested operators"


def _by_depth(group: str) -> Metric:
    return Metric(
        "max",
        "",
        f"accuracy at {nested_operators(group)}; of {_TEST}",
        at_end=True,
    )


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric(
            "min", "nats", f"-log p(value | tree) at sampled trees, with dropout; of {_TRAINING}"
        ),
        "train_accuracy": Metric(
            "max", "", f"share of right values at sampled trees, with dropout; of {_TRAINING}"
        ),
        "valid_loss": Metric("min", "nats", f"-log p(value | greedy tree); of {_VALIDATION}"),
        "valid_accuracy": Metric("max", "", f"share of right values; of {_VALIDATION}"),
        "valid_f1": Metric("max", "", _F1.format(of=_VALIDATION)),
        "test_loss": Metric("min", "nats", f"-log p(value | greedy tree); of {_TEST}", at_end=True),
        "test_accuracy": Metric("max", "", f"share of right values; of {_TEST}", at_end=True),
        "test_majority": Metric(
            "max",
            "",
            "share of the most frequent value, which is the accuracy of the best constant answer; "
            f"of {_TEST}",
            at_end=True,
        ),
        "test_f1": Metric("max", "", _F1.format(of=_TEST), at_end=True),
        "test_constituents": Metric(
            "max",
            "",
            "share of the true constituents, from bracket to bracket, that are parts of greedy "
            f"trees; whole expressions do not count; of {_TEST}",
            at_end=True,
        ),
        **{f"test_accuracy_depth_{group}": _by_depth(group) for group in DEPTHS},
    }
)
