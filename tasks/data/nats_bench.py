"""Accuracies of all 15,625 cells of NATS-Bench's topology space, by data set and epochs.

A column `test_200` has the test accuracy after 200 epochs, in percent, the mean over the
benchmark's trials. Two files hold such columns:

- the accuracy table, `NATS-Bench/nats_tss_accuracies.parquet` or `.csv.gz`: `test_200`, and
  `val_12` and `test_12` after 12 epochs. It has no validation accuracies after 200 epochs, and was
  put together from extracts of others, not from the benchmark's files;
- the benchmark itself, the folder `NATS-tss-v1_0-3ffb9-simple`, which the package `nats_bench`
  reads: also `val_200`. Its columns are copied to a table once, as reading it takes minutes.

References:
    Dong, Liu, Musial, Gabrys (2021), "NATS-Bench", arXiv:2009.00437.
"""

import functools
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.tasks.data.base import folder
from raysweep.tasks.data.lock import locked

DataSet = Literal["cifar10", "cifar100", "imagenet16"]
DATA_SETS: tuple[DataSet, ...] = ("cifar10", "cifar100", "imagenet16")
COLUMNS = ("val_12", "test_12", "test_200")  # of the accuracy table
FULL_COLUMNS = ("val_12", "test_12", "val_200", "test_200")  # of the benchmark
TABLE = Path("NATS-Bench") / "nats_tss_accuracies.parquet"
TEXT_TABLE = Path("NATS-Bench") / "nats_tss_accuracies.csv.gz"
FULL = Path("NATS-tss-v1_0-3ffb9-simple")
FULL_TABLE = Path("NATS-Bench") / "nats_tss_full.parquet"
CELLS = 15_625  # of the space
# SHA-256 of the cells in the benchmark's order, and of their accuracies in ten-thousandths.
DIGESTS: Mapping[str, str] = {
    "arch": "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84",
    "accuracies": "680506914c7fcb449003a0b9ec0e1efe3821f7999d8fee4ae035425ecec8a903",
}
# The benchmark's name of a data set, and of the evaluation, for validation and for test.
_FULL_NAMES: Mapping[DataSet, Mapping[str, tuple[str, str]]] = {
    "cifar10": {
        "val": ("cifar10-valid", "valid-accuracy"),
        "test": ("cifar10", "test-accuracy"),
    },
    "cifar100": {
        "val": ("cifar100", "valid-accuracy"),
        "test": ("cifar100", "test-accuracy"),
    },
    "imagenet16": {
        "val": ("ImageNet16-120", "valid-accuracy"),
        "test": ("ImageNet16-120", "test-accuracy"),
    },
}


def fetch(root: Path | None = None, *, full: bool = False) -> None:
    """Check that the accuracies are there and undamaged; the benchmark's are copied to a table.

    Args:
        root: Data folder; `folder()` if None.
        full: Whether those of the benchmark are wanted, with validation after 200 epochs.

    Raises:
        FileNotFoundError: If they are not.
        ValueError: If a file is damaged, or the package that reads the benchmark is missing.
    """
    _table(root or folder(), full)


def load(
    data_set: DataSet, root: Path | None = None, *, full: bool = False
) -> tuple[list[str], Mapping[str, Float[Tensor, " 15625"]]]:
    """Return the cells, and their accuracies in percent by column; for the arguments see `fetch`.

    Raises:
        FileNotFoundError: If the accuracies are not there.
        ValueError: If a file is damaged.
    """
    return _load(data_set, root or folder(), full)


@functools.lru_cache(maxsize=8)
def _load(
    data_set: DataSet, root: Path, full: bool
) -> tuple[list[str], Mapping[str, Float[Tensor, " 15625"]]]:
    table = _table(root, full)
    names = FULL_COLUMNS if full else COLUMNS
    columns = {name: table[f"{data_set}_{name}"].to_numpy() for name in names}
    accuracies = {name: torch.from_numpy(column.copy()) for name, column in columns.items()}
    return table["arch"].to_pylist(), accuracies


def _table(root: Path, full: bool) -> pa.Table:
    """Return the table of all data sets, after a check of its content."""
    path = _full_table_file(root) if full else _table_file(root)
    # what is copied is copied again, but nothing else can be had again by deleting it
    remedy = "delete it to copy it again" if full else "put the right one there"
    try:
        table = pacsv.read_csv(path) if path.suffix == ".gz" else pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from error
    names = _columns(FULL_COLUMNS if full else COLUMNS)
    if missing := [name for name in ("arch", *names) if name not in table.column_names]:
        raise ValueError(f"{path} lacks the column {missing[0]}; {remedy}")
    if not (_is_complete(table, names) if full else _digests(table) == DIGESTS):
        raise ValueError(f"{path} must hold the accuracies of NATS-Bench, but does not; {remedy}")
    return table


def _columns(names: Sequence[str]) -> list[str]:
    return [f"{data_set}_{name}" for data_set in DATA_SETS for name in names]


def _full_table_file(root: Path) -> Path:
    path = root / FULL_TABLE
    if not path.is_file():
        with locked(root, "nats_bench"):
            if not path.is_file():
                _copy(root)
    return path


def _table_file(root: Path) -> Path:
    for path in (root / TABLE, root / TEXT_TABLE):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"nats_bench needs the accuracy table {root / TABLE}, which is not there; put it there, "
        f"or the benchmark itself as {root / FULL} and set full to true, or name another data "
        "folder by `data` or RAYSWEEP_DATA"
    )


def _is_complete(table: pa.Table, names: Sequence[str]) -> bool:
    """Return whether there are as many cells as the space has, and a finite number for each."""
    return len(set(table["arch"].to_pylist())) == len(table) == CELLS and all(
        np.isfinite(table[name].to_numpy()).all() for name in names
    )


def _digests(table: pa.Table) -> Mapping[str, str]:
    return {
        "arch": _digest("\n".join(table["arch"].to_pylist()).encode()),
        "accuracies": _digest(*(_numbers(table[name].to_numpy()) for name in _columns(COLUMNS))),
    }


def _numbers(column: np.ndarray) -> bytes:
    return np.rint(column * 10_000).astype("<i4").tobytes()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _copy(root: Path) -> None:
    """Write the table of the benchmark's own accuracies."""
    benchmark = _benchmark(root / FULL)
    cells = list(benchmark.meta_archs)
    columns = {
        f"{data_set}_{name}": _column(benchmark, data_set, *name.split("_"))
        for data_set in DATA_SETS
        for name in FULL_COLUMNS
    }
    target = root / FULL_TABLE
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        aside = Path(scratch) / target.name  # with the permissions of any new file
        pq.write_table(pa.table({"arch": cells, **columns}), aside)
        aside.replace(target)


def _benchmark(path: Path) -> Any:
    """Return the benchmark, as its package reads it.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If the package is missing.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"nats_bench needs the benchmark as {path}, which is not there; unpack "
            f"{path.name}.tar there, which github.com/D-X-Y/NATS-Bench links, or set full to false"
        )
    try:
        import nats_bench  # noqa: PLC0415 - an extra, for this file only
    except ModuleNotFoundError as error:
        raise ValueError(
            "the benchmark's file needs the package nats_bench: pip install nats_bench"
        ) from error
    return nats_bench.create(str(path), "tss", fast_mode=True, verbose=False)


def _column(benchmark: Any, data_set: DataSet, part: str, epochs: str) -> list[float]:
    """Return accuracies in percent, in the benchmark's order, means over trials."""
    name, key = _FULL_NAMES[data_set][part]
    cells = range(len(benchmark.meta_archs))
    return [benchmark.get_more_info(cell, name, hp=epochs, is_random=False)[key] for cell in cells]
