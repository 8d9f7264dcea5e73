"""A sweep's stored results as Optuna studies: one per arm, one trial per configuration."""

import collections
import contextlib
import dataclasses
import datetime
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from raysweep.results.selection import Candidate, candidates
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.search.distributions import DIRECTIONS, Direction, distribution, to_optuna
from raysweep.sweep import space
from raysweep.sweep.spec import Arm

ABOUT = ("seed", "steps", "seconds", "started_at", "error")
UNKNOWN_START = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
Curve = Mapping[int, float]


@dataclasses.dataclass(frozen=True)
class History:
    """What became of one arm's configurations.

    Args:
        name: Of the study.
        arm: Whose.
        metrics: The objectives.
        directions: `minimize` or `maximize`, one for each.
        trials: One per configuration that has ended runs, in the order in which they began.
    """

    name: str
    arm: Arm
    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]
    trials: tuple[FrozenTrial, ...]

    def study(self, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
        """A study of that name, as yet without the trials; in memory if there is no storage."""
        made = optuna.create_study(
            storage=storage, study_name=self.name, directions=list(self.directions)
        )
        made.set_metric_names(list(self.metrics))
        return made


def histories(results: SweepResults, metrics: Sequence[str]) -> list[History]:
    """The history of every arm, in the file's order.

    Args:
        results: Of the sweep.
        metrics: One, or two for trade-offs between them.
    """
    spec = results.spec
    found = candidates(spec, results.ended(*metrics, about=ABOUT))
    curves = _curves(results, found, metrics[0]) if len(metrics) == 1 else {}
    directions = tuple(DIRECTIONS[spec.metrics[each]["direction"]] for each in metrics)
    made = []
    for arm, own in zip(spec.arms, found, strict=True):
        terms = _Terms(arm)
        trials = tuple(
            _trial(each, terms, metrics, len(spec.seeds), curves.get(each.configuration_id, {}))
            for each in sorted(own, key=lambda each: (_start(each), each.configuration_id))
        )
        name = f"{results.sweep}: {arm.name}"
        made.append(History(name, arm, tuple(metrics), directions, trials))
    return made


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps to itself what Optuna says of its own interfaces and of its progress."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


class _Terms:
    """Optuna's names, distributions and values of an arm's searched settings."""

    def __init__(self, arm: Arm) -> None:
        self.names = {key: _short(arm, key) for key in arm.searched}
        self.domains = arm.searched
        self.distributions = {key: distribution(each) for key, each in arm.searched.items()}

    def point(
        self, assignment: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """The settings that the assignment has, and where they come from."""
        values, sources = {}, {}
        for key, value in assignment.items():
            name, domain = self.names[key], self.domains[key]
            values[name] = to_optuna(space.member(domain, value), domain)
            sources[name] = self.distributions[key]
        return values, sources


def _short(arm: Arm, key: str) -> str:
    """The setting's name alone, where no other searched one has it."""
    name = key.partition(".")[2]
    return name if len(arm.keys_of(name)) == 1 else key


def _trial(
    candidate: Candidate, terms: _Terms, metrics: Sequence[str], planned: int, curve: Curve
) -> FrozenTrial:
    state = _state(candidate, metrics, planned)
    params, sources = terms.point(candidate.assignment)
    values = None
    if state == TrialState.COMPLETE:
        values = [mean_of(candidate.values(each)) for each in metrics]
    elif state == TrialState.PRUNED and len(metrics) == 1:
        curve = _until_stopped(candidate, metrics[0], curve)
        values = [curve[max(curve)]] if curve else None  # as Optuna has it of its own trials
    trial = optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=sources,
        user_attrs=_about(candidate, metrics, state),
        intermediate_values=dict(curve),
    )
    start = _start(candidate).astimezone().replace(tzinfo=None)  # local time is Optuna's
    trial.datetime_start = start
    if state.is_finished():
        cost = sum(row["seconds"] or 0.0 for row in candidate.rows)
        trial.datetime_complete = start + datetime.timedelta(seconds=cost)
    return trial


def _state(candidate: Candidate, metrics: Sequence[str], planned: int) -> TrialState:
    if candidate.has("diverged") or candidate.has("failed"):
        return TrialState.FAIL
    if candidate.has("stopped"):
        return TrialState.PRUNED
    if not candidate.complete:
        return TrialState.RUNNING
    whole = all(len(candidate.values(each)) == planned for each in metrics)
    return TrialState.COMPLETE if whole else TrialState.FAIL


def _until_stopped(candidate: Candidate, metric: str, curve: Curve) -> Curve:
    """The curve up to the step at which runs were stopped, with the mean that they had there.

    Where a race was lost, the seeds that ran did so to their end, and the others not at all.
    """
    ran = [row for row in candidate.rows if row["steps"]]
    stopped = [row for row in ran if row["status"] == "stopped"] or ran
    values = [row[f"metric.{metric}"] for row in stopped]
    known = [value for value in values if value is not None]
    last = max((row["steps"] for row in stopped), default=0)
    before = {step: value for step, value in curve.items() if step <= last}
    return {**before, last: mean_of(known)} if known else before


def _about(candidate: Candidate, metrics: Sequence[str], state: TrialState) -> dict[str, Any]:
    """The trial's user attributes; with two metrics, values and deviations by metric."""
    rows = sorted(candidate.rows, key=lambda row: row["seed"])
    values = {each: [row.get(f"metric.{each}") for row in rows] for each in metrics}
    known = {name: [value for value in own if value is not None] for name, own in values.items()}
    std = {name: statistics.stdev(own) if len(own) > 1 else None for name, own in known.items()}
    one = len(metrics) == 1
    about: dict[str, Any] = {
        "configuration_id": candidate.configuration_id,
        "seeds": [row["seed"] for row in rows],
        "values": values[metrics[0]] if one else values,
        "std": std[metrics[0]] if one else std,
        "status": dict(collections.Counter(row["status"] for row in rows)),
    }
    if state == TrialState.FAIL:
        about["error"] = _error(rows, metrics)
    return about


def _error(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> str:
    """Why a configuration has no value: the first thing that went wrong with it."""
    for row in rows:
        if row["error"] is not None:
            return row["error"]
        if row["status"] != "done":
            return f"seed {row['seed']} {row['status']}"
    return f"a seed has no finite {' or '.join(metrics)}"


def _start(candidate: Candidate) -> datetime.datetime:
    """When the first of its runs began."""
    known = [row["started_at"] for row in candidate.rows if row["started_at"] is not None]
    return min(known, default=UNKNOWN_START)


def _curves(
    results: SweepResults, found: Sequence[Sequence[Candidate]], metric: str
) -> Mapping[str, Curve]:
    """Means over seeds by configuration and step, where every seed still there has a number."""
    dataset = results.store.dataset("curves")
    if metric not in dataset.schema.names:
        return {}
    owners = {
        row["run_id"]: candidate.configuration_id
        for own in found
        for candidate in own
        for row in candidate.rows
    }
    ids = pa.array(owners, pa.string())
    table = results.store.read(
        dataset, ["run_id", "step", metric], pads.field("run_id").isin(ids)
    ).sort_by("run_id")
    value = table[metric].cast(pa.float64())
    place = pc.index_in(table["run_id"], value_set=ids)
    means = pa.table(
        {
            "configuration": pa.array(owners.values(), pa.string()).take(place.combine_chunks()),
            "step": table["step"],
            "value": pc.if_else(pc.is_finite(value), value, None),
        }
    )
    means = means.group_by(["configuration", "step"], use_threads=False).aggregate(
        [("value", "mean"), ("value", "count"), ([], "count_all")]
    )
    means = means.filter(pc.equal(means["value_count"], means["count_all"])).sort_by("step")
    curves: dict[str, dict[int, float]] = {}
    columns = (means[name].to_pylist() for name in ("configuration", "step", "value_mean"))
    for configuration, step, mean in zip(*columns, strict=True):
        curves.setdefault(configuration, {})[step] = mean
    return curves
