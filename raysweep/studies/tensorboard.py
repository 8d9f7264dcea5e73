"""Export of curves, settings and final metrics as event files of TensorBoard."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from raysweep.errors import SpecError
from raysweep.results.sweep_results import SweepResults

METRIC, SETTING = "metric.", "param."
AT_ONCE = 500  # runs whose curves are in memory together
_UNSAFE = re.compile(r"[^\w.=+ -]+")


def export(results: SweepResults, folder: str | Path) -> int:
    """Write a folder of event files for each run that ended, and return the number of runs.

    A run is `<estimator> - <task>/<configuration>-seed<seed>` below the folder: its curves as
    scalars, and its settings with its final metrics for the HParams page.

    Args:
        results: Results of the sweep.
        folder: Folder to write to; it must be new, or empty.

    Raises:
        SpecError: If the folder has files, or cannot be written to.
        StoreError: If the store cannot be read.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise SpecError(f"{path} is not empty; name a new folder", field="folder")
        rows = results.runs().sort_by([("estimator", "ascending"), ("run_id", "ascending")])
        for first in range(0, rows.num_rows, AT_ONCE):
            _write(results, rows.slice(first, AT_ONCE).to_pylist(), path)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}", field="folder") from error
    return rows.num_rows


def _write(results: SweepResults, runs: list[dict[str, Any]], path: Path) -> None:
    ids = [run["run_id"] for run in runs]
    curves = results.store.curves_of(ids)
    with results.store.reading(curves):
        wanted = pc.field("run_id").isin(pa.array(ids, pa.string()))
        order = [("run_id", "ascending"), ("step", "ascending")]
        table = curves.to_table(filter=wanted).sort_by(order)
    points: dict[str, list[dict[str, Any]]] = {}
    for point in table.to_pylist():
        points.setdefault(point["run_id"], []).append(point)
    for run in runs:
        _write_run(run, points.get(run["run_id"], []), path)


def _write_run(run: dict[str, Any], points: list[dict[str, Any]], path: Path) -> None:
    group = _name(f"{run['estimator']} - {run['task']}")
    folder = path / group / f"{run['configuration_id']}-seed{run['seed']}"
    began = run["started_at"].timestamp() if run["started_at"] else 0.0
    with SummaryWriter(str(folder), write_to_disk=True) as writer:
        for point in points:
            time = began + (point["seconds"] or 0.0)
            for name, value in point.items():
                if name not in ("run_id", "step", "seconds") and value is not None:
                    writer.add_scalar(name, value, point["step"], time)
        final = _present(run, METRIC)
        settings = {
            name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for name, value in _present(run, SETTING).items()
        }
        for name, value in final.items():
            writer.add_scalar(f"final/{name}", value, run["steps"] or 0, began)
        known = {"estimator": run["estimator"], "task": run["task"], "seed": run["seed"]}
        results = {f"final/{name}": value for name, value in final.items()}
        # `add_hparams` would write them to another file, of the same name within one second.
        for summary in hparams({**known, **settings}, results):
            writer.file_writer.add_summary(summary)


def _present(run: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the columns with a prefix that are not null, without the prefix."""
    return {
        name.removeprefix(prefix): value
        for name, value in run.items()
        if name.startswith(prefix) and value is not None
    }


def _name(label: str) -> str:
    """Return a label as the name of a folder."""
    return _UNSAFE.sub("_", label).strip(". ") or "_"
