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

_F1 = (
    "unlabelled F1 of the greedy trees against the published binary ones, over the spans of all "
    "{of} expressions but those of whole expressions"
)


def _by_depth(group: str) -> Metric:
    least, most = DEPTHS[group]
    depth = f"{least} or {most}" if least < most else f"{least}"
    if most >= 100:
        depth = f"{least} or more"
    return Metric(
        "max", "", f"accuracy of test expressions with {depth} nested operators", at_end=True
    )


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric("min", "nats", "-log p(value | tree) at sampled trees, with dropout"),
        "train_accuracy": Metric("max", "", "share of right values at sampled trees, with dropout"),
        "valid_loss": Metric(
            "min", "nats", "-log p(value | greedy tree) of validation expressions"
        ),
        "valid_accuracy": Metric("max", "", "share of right values of validation expressions"),
        "valid_f1": Metric("max", "", _F1.format(of="validation")),
        "test_loss": Metric(
            "min",
            "nats",
            "-log p(value | greedy tree) of test expressions, official or generated: test_set",
            at_end=True,
        ),
        "test_accuracy": Metric(
            "max", "", "share of right values of test expressions", at_end=True
        ),
        "test_majority": Metric(
            "max",
            "",
            "share of the most frequent value of test expressions: the best constant answer's "
            "accuracy",
            at_end=True,
        ),
        "test_f1": Metric("max", "", _F1.format(of="test"), at_end=True),
        "test_constituents": Metric(
            "max",
            "",
            "share of the true constituents, from bracket to bracket, that are parts of greedy "
            "trees; whole test expressions do not count",
            at_end=True,
        ),
        **{f"test_accuracy_depth_{group}": _by_depth(group) for group in DEPTHS},
    }
)
