"""Distributions over the cells of NATS-Bench, and the accuracies of the most probable one."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.base import Metric
from raysweep.tasks.data import folder, nats_bench
from raysweep.tasks.nas.space import EDGES, OPERATIONS, code_of

CELLS = len(OPERATIONS) ** len(EDGES)


def _accuracy(column: str, meaning: str, **needs: float) -> Mapping[str, Metric]:
    return {
        f"final_accuracy_{column}": Metric(
            "max", "%", f"{meaning} of the most probable cell", needs, at_end=True
        ),
        f"final_regret_{column}": Metric(
            "min",
            "percentage points",
            f"{meaning} of the best cell, less that of the most probable one",
            needs,
            at_end=True,
        ),
    }


LOOKED_UP: Mapping[str, Metric] = {
    "final_cell": Metric(
        "max",
        "",
        "most probable cell: a digit for the operation of each edge, 0 none, 1 skip_connect, "
        "2 nor_conv_1x1, 3 nor_conv_3x3, 4 avg_pool_3x3; no order",
        at_end=True,
    ),
    **_accuracy("val_12", "validation accuracy after 12 epochs"),
    **_accuracy("test_12", "test accuracy after 12 epochs"),
    **_accuracy("val_200", "validation accuracy after 200 epochs", full=1),
    **_accuracy("test_200", "test accuracy after 200 epochs"),
}
"""Metrics that `look_up` returns."""


def initial_logits(
    seeds: Sequence[int], dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "R 6 5"]:
    """Return the start of GDAS: normal numbers times 0.001, by each replica's seed."""
    uniform = Noise(seeds=list(seeds), purpose="init").uniform(
        len(seeds), len(EDGES), len(OPERATIONS), dtype=dtype, device=device
    )
    return torch.special.ndtri(uniform).mul(1e-3)


def look_up(
    theta: Float[Tensor, "R 6 5"], accuracies: Mapping[str, Float[Tensor, " 15625"]]
) -> dict[str, Float[Tensor, " R"]]:
    """Return the most probable cells, and their accuracies and regrets.

    Args:
        theta: Logits of the edges' operations.
        accuracies: Accuracies by column, as `by_code` returns them.
    """
    codes = theta.argmax(-1)
    cells = cell_indices(codes)
    # NaN logits have a largest one, too: adding 0 times their sum makes metrics NaN.
    nothing = 0 * theta.sum((1, 2)).double()
    digits = [10**later for later in reversed(range(len(EDGES)))]
    metrics = {"final_cell": (codes * codes.new_tensor(digits)).sum(-1) + nothing}
    for name, column in accuracies.items():
        accuracy = column[cells] + nothing
        metrics[f"final_accuracy_{name}"] = accuracy
        metrics[f"final_regret_{name}"] = column.max() - accuracy
    return metrics


def by_code(
    data_set: nats_bench.DataSet, full: bool, device: torch.device | str = "cpu"
) -> dict[str, Float[Tensor, " 15625"]]:
    """Return the accuracies by column, in the order of codes, the last edge changing fastest.

    Args:
        data_set: Images that the cells were trained on.
        full: Whether those of the benchmark itself are read, instead of the accuracy table.
        device: Device of the accuracies.

    Raises:
        FileNotFoundError: If the accuracies are not there.
        ValueError: If a file is damaged.
    """
    columns = read_by_code(data_set, full, folder())
    return {name: column.to(device) for name, column in columns.items()}


@functools.lru_cache(maxsize=8)
def read_by_code(
    data_set: nats_bench.DataSet, full: bool, root: Path
) -> Mapping[str, Float[Tensor, " 15625"]]:
    """Return the accuracies in a data folder; see `by_code`."""
    cells, columns = nats_bench.load(data_set, root, full=full)
    order = cell_indices(torch.tensor([code_of(cell) for cell in cells])).argsort()
    return {name: column[order] for name, column in columns.items()}


def cell_indices(codes: Int[Tensor, "*batch 6"]) -> Int[Tensor, "*batch"]:
    """Return the indices of cells in the order of codes, the last edge changing fastest."""
    steps = [len(OPERATIONS) ** later for later in reversed(range(len(EDGES)))]
    return (codes * codes.new_tensor(steps)).sum(-1)
