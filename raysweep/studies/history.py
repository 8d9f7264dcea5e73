"""Stored results as Optuna studies: a study per arm, a trial per configuration."""

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

from raysweep.results.configuration_stats import Candidate
from raysweep.results.selection import candidates
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
    """The configurations of an arm as trials of an Optuna study.

    Args:
        name: Name of the study.
        arm: The arm of the study.
        metrics: Names of the objectives.
        directions: Direction of each objective, `minimize` or `maximize`.
        trials: A trial for each configuration with ended runs, in the order of their starts.
    """

    name: str
    arm: Arm
    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]
    trials: tuple[FrozenTrial, ...]

    def study(self, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
        """Create the study, still without trials; in memory if there is no storage."""
        study = optuna.create_study(
            storage=storage, study_name=self.name, directions=list(self.directions)
        )
        study.set_metric_names(list(self.metrics))
        return study


def histories(results: SweepResults, metrics: Sequence[str]) -> list[History]:
    """Return the history of every arm, in the file's order.

    Args:
        results: Results of the sweep.
        metrics: One objective, or two for the trade-offs between them.
    """
    spec = results.spec
    by_arm = candidates(spec, results.ended(*metrics, about=ABOUT))
    curves = _curves(results, by_arm, metrics[0]) if len(metrics) == 1 else {}
    directions = tuple(DIRECTIONS[spec.metrics[metric]["direction"]] for metric in metrics)
    arms = []
    for arm, tried in zip(spec.arms, by_arm, strict=True):
        parameters = _Parameters(arm)
        trials = tuple(
            _trial(one, parameters, metrics, len(spec.seeds), curves.get(one.configuration_id, {}))
            for one in sorted(tried, key=lambda one: (_start(one), one.configuration_id))
        )
        name = f"{results.sweep}: {arm.name}"
        arms.append(History(name, arm, tuple(metrics), directions, trials))
    return arms


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings about its interfaces, and its log."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


class _Parameters:
    """The searched settings of an arm as Optuna's parameters: names, distributions, values."""

    def __init__(self, arm: Arm) -> None:
        self.names = {key: _short(arm, key) for key in arm.searched}
        self.domains = arm.searched
        self.distributions = {key: distribution(domain) for key, domain in arm.searched.items()}

    def point(
        self, assignment: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return the values of an assignment, and their distributions, by parameter name."""
        values, distributions = {}, {}
        for key, value in assignment.items():
            name, domain = self.names[key], self.domains[key]
            values[name] = to_optuna(space.member(domain, value), domain)
            distributions[name] = self.distributions[key]
        return values, distributions


def _short(arm: Arm, key: str) -> str:
    """Return the setting's name without its section, unless another searched setting has it."""
    name = key.partition(".")[2]
    return name if len(arm.keys_of(name)) == 1 else key


def _trial(
    candidate: Candidate,
    parameters: _Parameters,
    metrics: Sequence[str],
    seeds: int,
    curve: Curve,
) -> FrozenTrial:
    state = _state(candidate, metrics, seeds)
    params, distributions = parameters.point(candidate.assignment)
    values = None
    if state == TrialState.COMPLETE:
        values = [mean_of(candidate.values(metric)) for metric in metrics]
    elif state == TrialState.PRUNED and len(metrics) == 1:
        curve = _until_stopped(candidate, metrics[0], curve)
        values = [curve[max(curve)]] if curve else None  # as in pruned trials of Optuna itself
    trial = optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=distributions,
        user_attrs=_about(candidate, metrics, state),
        intermediate_values=dict(curve),
    )
    start = _start(candidate).astimezone().replace(tzinfo=None)  # Optuna uses local time
    trial.datetime_start = start
    if state.is_finished():
        cost = sum(row["seconds"] or 0.0 for row in candidate.rows)
        trial.datetime_complete = start + datetime.timedelta(seconds=cost)
    return trial


def _state(candidate: Candidate, metrics: Sequence[str], seeds: int) -> TrialState:
    if candidate.has("diverged") or candidate.has("failed"):
        return TrialState.FAIL
    if candidate.has("stopped"):
        return TrialState.PRUNED
    if not candidate.complete:
        return TrialState.RUNNING
    has_all = all(len(candidate.values(metric)) == seeds for metric in metrics)
    return TrialState.COMPLETE if has_all else TrialState.FAIL


def _until_stopped(candidate: Candidate, metric: str, curve: Curve) -> Curve:
    """Return the curve up to the step at which runs were stopped, with their mean there.

    A configuration that racing stopped has complete runs on some seeds, and none on the others.
    """
    ran = [row for row in candidate.rows if row["steps"]]
    stopped = [row for row in ran if row["status"] == "stopped"] or ran
    values = [row[f"metric.{metric}"] for row in stopped]
    known = [value for value in values if value is not None]
    last = max((row["steps"] for row in stopped), default=0)
    before = {step: value for step, value in curve.items() if step <= last}
    return {**before, last: mean_of(known)} if known else before


def _about(candidate: Candidate, metrics: Sequence[str], state: TrialState) -> dict[str, Any]:
    """Return the trial's user attributes; with two metrics, values and deviations by metric."""
    rows = sorted(candidate.rows, key=lambda row: row["seed"])
    values = {name: [row.get(f"metric.{name}") for row in rows] for name in metrics}
    known = {
        name: [value for value in seeds if value is not None] for name, seeds in values.items()
    }
    std = {
        name: statistics.stdev(numbers) if len(numbers) > 1 else None
        for name, numbers in known.items()
    }
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
    """Return why a configuration has no value: the first error of its seeds."""
    for row in rows:
        if row["error"] is not None:
            return row["error"]
        if row["status"] != "done":
            return f"seed {row['seed']} {row['status']}"
    return f"a seed has no finite {' or '.join(metrics)}"


def _start(candidate: Candidate) -> datetime.datetime:
    """Return the start of the configuration's first run."""
    known = [row["started_at"] for row in candidate.rows if row["started_at"] is not None]
    return min(known, default=UNKNOWN_START)


def _curves(
    results: SweepResults, by_arm: Sequence[Sequence[Candidate]], metric: str
) -> Mapping[str, Curve]:
    """Return means over seeds by configuration and step, where all seeds present are finite."""
    dataset = results.store.dataset("curves")
    if metric not in dataset.schema.names:
        return {}
    owners = {
        row["run_id"]: candidate.configuration_id
        for tried in by_arm
        for candidate in tried
        for row in candidate.rows
    }
    ids = pa.array(owners, pa.string())
    table = results.store.read(
        dataset, ["run_id", "step", metric], pads.field("run_id").isin(ids)
    ).sort_by("run_id")
    value = table[metric].cast(pa.float64())
    owner = pc.index_in(table["run_id"], value_set=ids)
    means = pa.table(
        {
            "configuration": pa.array(owners.values(), pa.string()).take(owner.combine_chunks()),
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
