"""Runs as trackers show them: names, groups, settings under short names, and results."""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from raysweep.results.bins import value_text
from raysweep.store import schema
from raysweep.store.checkpoints import Manifest
from raysweep.sweep.spec import Spec

METRIC, SETTING = "metric.", "param."
STAMPED = ("status", "ended_at", "estimator", "task")
AXES = ("run_id", "step", "seconds")  # columns of curves that are no metrics
LONGEST = 60  # characters of settings in a name
ABOUT = ("sweep", "task", "estimator", "seed", "run_id", "configuration_id")

Point = Mapping[str, Any]  # a row of `curves`


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedRun:
    """A run with its settings and, once it has ended, its result.

    Args:
        run_id: Identity of the run.
        configuration_id: Identity of its configuration, without the seed.
        seed: Seed of the run.
        task: Label of the task.
        estimator: Label of the estimator.
        settings: Settings that have a value, by key `section.name`.
        began: Time at which training began, if it is known.
        row: Row of `runs`; None while the run trains.
    """

    run_id: str
    configuration_id: str
    seed: int
    task: str
    estimator: str
    settings: Mapping[str, Any]
    began: datetime | None
    row: Mapping[str, Any] | None = None

    @property
    def stamp(self) -> str | None:
        """Mark of the result and the labels, see `stamp`; None while the run trains."""
        return None if self.row is None else stamp(*(self.row[name] for name in STAMPED))

    @property
    def status(self) -> str:
        """Status of the run: `running`, or that of its row."""
        return "running" if self.row is None else self.row["status"]

    @property
    def ended_at(self) -> datetime | None:
        """Time at which the run ended, if it has and the time is known."""
        return None if self.row is None else self.row["ended_at"]

    @property
    def steps(self) -> int:
        """Number of steps trained; 0 before the end."""
        return 0 if self.row is None else self.row["steps"] or 0

    @functools.cached_property
    def final(self) -> dict[str, float]:
        """Final metrics that have a value."""
        return {} if self.row is None else _present(self.row, METRIC)

    def time(self, point: Point) -> float:
        """Return the time of a point, in seconds since 1970: start of the run, plus training."""
        return self.start + (point["seconds"] or 0.0)

    @property
    def start(self) -> float:
        """Time at which training began, in seconds since 1970; 0 if it is not known."""
        return self.began.timestamp() if self.began else 0.0


def stamp(status: str, ended_at: datetime | None, estimator: str, task: str) -> str:
    """Return a mark of a result, which another training of the run or other labels change."""
    return " ".join((status, ended_at.isoformat() if ended_at else "–", estimator, task))


def ended(rows: pa.Table) -> list[TrackedRun]:
    """Return the runs of these rows of `runs`."""
    return [
        TrackedRun(
            row["run_id"],
            row["configuration_id"],
            row["seed"],
            row["task"],
            row["estimator"],
            _valued(schema.decode_settings(row, rows.schema)),
            row["started_at"],
            row,
        )
        for row in rows.to_pylist()
    ]


def in_flight(manifest: Manifest) -> list[TrackedRun]:
    """Return the runs of a pack that trains."""
    began = datetime.fromisoformat(manifest.started_at)
    return [
        TrackedRun(
            run.run_id,
            run.configuration_id,
            run.seed,
            run.task_label,
            run.estimator_label,
            _valued(run.settings),
            began,
        )
        for run in manifest.pack.runs
    ]


def metrics(point: Point) -> dict[str, float]:
    """Return the metrics of a point that have a value."""
    return {name: value for name, value in point.items() if name not in AXES and value is not None}


def by_run(points: pa.Table) -> dict[str, list[Point]]:
    """Return rows of `curves` by run, each in the order of its steps."""
    order = [("run_id", "ascending"), ("step", "ascending")]
    curves: dict[str, list[Point]] = collections.defaultdict(list)
    for point in points.sort_by(order).to_pylist():
        curves[point["run_id"]].append(point)
    return curves


class Names:
    """Names of a sweep's runs, groups and settings.

    Args:
        spec: Spec of the sweep.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._searched = {
            (arm.task_label, arm.estimator_label): tuple(arm.searched) for arm in spec.arms
        }
        self._anywhere = tuple(dict.fromkeys(key for arm in spec.arms for key in arm.searched))
        self._fresh = frozenset(spec.report_seeds)
        self._short = _short_names(spec.types)

    def short(self, key: str) -> str:
        """Return the name of a setting without its section, unless others have the name, too."""
        return self._short.get(key, key)

    def settings(self, run: TrackedRun) -> str:
        """Return the searched settings as text, such as `lr=0.1 temperature=1`; it may be empty."""
        keys = self._searched.get((run.task, run.estimator), self._anywhere)
        parts = [
            f"{self.short(key)}={value_text(run.settings[key])}"
            for key in keys
            if key in run.settings
        ]
        text = " ".join(parts)
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

    def configuration(self, run: TrackedRun) -> str:
        """Return the name of the run's configuration."""
        return _joined(run.estimator, run.task, self.settings(run))

    def group(self, run: TrackedRun) -> str:
        """Return the configuration's name with its identity, which no other one has."""
        return _joined(self.configuration(run), run.configuration_id[:8])

    def run(self, run: TrackedRun) -> str:
        """Return the name of a run."""
        return _joined(self.configuration(run), f"seed {run.seed}")

    def job(self, run: TrackedRun) -> str:
        """Return the purpose of a run: `report` on fresh seeds, `search` otherwise."""
        return "report" if run.seed in self._fresh else "search"

    def config(self, run: TrackedRun) -> dict[str, Any]:
        """Return what identifies a run, then its settings under their short names."""
        about = (self.spec.name, run.task, run.estimator, run.seed, run.run_id)
        known = dict(zip(ABOUT, (*about, run.configuration_id), strict=True))
        return {**known, **{self.short(key): value for key, value in run.settings.items()}}


def _short_names(keys: Iterable[str]) -> dict[str, str]:
    names = {key: key.partition(".")[2] for key in keys}
    count = collections.Counter(names.values())
    return {key: name for key, name in names.items() if count[name] == 1 and name not in ABOUT}


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _valued(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _present(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the columns with a prefix that have a value, without the prefix."""
    return {
        name.removeprefix(prefix): value
        for name, value in row.items()
        if name.startswith(prefix) and value is not None
    }
