"""Means of metrics over steps, and the files of curves they are written to."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import curve_files
from raysweep.store.curve_files import CurveFile
from raysweep.store.files import Files


class Means:
    """Running means of metrics, one per replica; sums are kept in float64, step by step.

    A metric need not have a value in every step: those without do not count.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, means: Mapping[str, Tensor], count: int) -> None:
        """Add the means `R` over `count` steps."""
        for name, mean in means.items():
            total = mean.to(torch.float64)
            if count != 1:
                total = total * count
            if name in self.sums:
                self.sums[name] += total
                self.counts[name] += count
            else:
                self.sums[name] = total.clone()
                self.counts[name] = count

    def take(self) -> dict[str, Tensor]:
        """Return the means so far, and start again from zero."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def select(self, keep: Tensor) -> None:
        """Keep only the replicas marked in `keep`."""
        self.sums = {name: total[keep] for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` loads."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state; earlier versions saved one count for all metrics."""
        self.sums = dict(state["sums"])
        counts = state["counts"] if "counts" in state else dict.fromkeys(self.sums, state["count"])
        self.counts = dict(counts)


def finite(value: float) -> float | None:
    """Return the number, or None if it is not finite, so that means over a column stay valid."""
    return value if math.isfinite(value) else None


class CurveWriter:
    """Writer of a pack's curve files, `curves/<pack_id>-<first step>.parquet`.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack.
        schema: Arrow schema of `curves`.
    """

    def __init__(self, files: Files, pack_id: str, schema: pa.Schema) -> None:
        self.files, self.pack_id, self.schema = files, pack_id, schema
        self._rows: list[dict[str, Any]] = []

    def resume(self, step: int, run_ids: set[str]) -> None:
        """Remove rows after the step that training resumes from, and rows of other runs."""
        for segment in curve_files.of_pack(self.files, self.pack_id):
            if segment.first > step:
                self.files.remove(segment.name)
                continue
            with contextlib.suppress(DamagedFile):  # a driver reports it and sets it aside
                self._keep(segment.name, run_ids)

    def _keep(self, name: str, run_ids: set[str]) -> None:
        try:
            table = self.files.read_table(name)
        except FileNotFoundError as error:
            raise StoreError(
                f"cannot read {self.files.path(name)}: the file disappeared after it was listed; "
                "check the store and run the same command again"
            ) from error
        wanted = pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string()))
        if not pc.all(wanted).as_py():
            self.files.write_table(name, table.filter(wanted))

    def add(
        self,
        run_ids: Sequence[str],
        step: int,
        seconds: float,
        means: Mapping[str, Sequence[float]],
    ) -> None:
        """Add one row for each run."""
        for index, run_id in enumerate(run_ids):
            values = {name: finite(column[index]) for name, column in means.items()}
            self._rows.append({"run_id": run_id, "step": step, "seconds": seconds, **values})

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows since the last flush."""
        return not self._rows

    def flush(self) -> None:
        """Write the rows since the last flush as one file."""
        if not self._rows:
            return
        first = self._rows[0]["step"]
        table = pa.Table.from_pylist(self._rows, schema=self.schema)
        self.files.write_table(CurveFile(self.pack_id, first).name, table)
        self._rows = []
