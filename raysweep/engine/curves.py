"""Means of metrics over steps, and the curve files they go into."""

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
    """Running means of metrics, one per replica; sums are kept in float64, step by step."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, means: Mapping[str, Tensor], count: int) -> None:
        """Takes in the means `R` over `count` steps."""
        self.count += count
        for name, mean in means.items():
            total = mean.to(torch.float64)
            if count != 1:
                total = total * count
            if name in self.sums:
                self.sums[name] += total
            else:
                self.sums[name] = total.clone()

    def take(self) -> dict[str, Tensor]:
        """The means so far; starts over."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def select(self, keep: Tensor) -> None:
        """Drops replicas."""
        self.sums = {name: total[keep] for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` reads back."""
        return {"sums": dict(self.sums), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a saved state."""
        self.sums, self.count = dict(state["sums"]), state["count"]


def finite(value: float) -> float | None:
    """The number, or None if it is none: averages over a column must not be poisoned."""
    return value if math.isfinite(value) else None


class CurveWriter:
    """A pack's curve segments: `curves/<pack_id>-<first step>.parquet`.

    Args:
        files: The sweep's folder.
        pack_id: Whose.
        schema: Of `curves`.
    """

    def __init__(self, files: Files, pack_id: str, schema: pa.Schema) -> None:
        self.files, self.pack_id, self.schema = files, pack_id, schema
        self._rows: list[dict[str, Any]] = []

    def go_on(self, step: int, run_ids: set[str]) -> None:
        """Removes what lies beyond the step that training goes on from, and rows of other runs."""
        for each in curve_files.of_pack(self.files, self.pack_id):
            if each.first > step:
                self.files.remove(each.name)
                continue
            with contextlib.suppress(DamagedFile):  # it stays, for a driver to say and set aside
                self._keep(each.name, run_ids)

    def _keep(self, name: str, run_ids: set[str]) -> None:
        try:
            table = self.files.read_table(name)
        except FileNotFoundError as error:
            raise StoreError(
                f"cannot read {self.files.path(name)}: it was listed and then was gone; make the "
                "store usable and run the same command again"
            ) from error
        mine = pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string()))
        if not pc.all(mine).as_py():
            self.files.write_table(name, table.filter(mine))

    def add(
        self,
        run_ids: Sequence[str],
        step: int,
        seconds: float,
        means: Mapping[str, Sequence[float]],
    ) -> None:
        """One row per run."""
        for place, run_id in enumerate(run_ids):
            values = {name: finite(column[place]) for name, column in means.items()}
            self._rows.append({"run_id": run_id, "step": step, "seconds": seconds, **values})

    def flush(self) -> None:
        """Puts the rows since the last flush down as one segment."""
        if not self._rows:
            return
        first = self._rows[0]["step"]
        table = pa.Table.from_pylist(self._rows, schema=self.schema)
        self.files.write_table(CurveFile(self.pack_id, first).name, table)
        self._rows = []
