"""How much each searched setting matters to a metric, by Optuna's evaluators."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    MeanDecreaseImpurityImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, TrialState

from raysweep.errors import SpecError, nearest
from raysweep.formats.aligned import arrow_text
from raysweep.results.sweep_results import SweepResults
from raysweep.studies.history import History, histories, quiet

EVALUATORS: Mapping[str, Callable[[], BaseImportanceEvaluator]] = {
    "ped-anova": PedAnovaImportanceEvaluator,
    "fanova": lambda: FanovaImportanceEvaluator(seed=0),
    "mdi": lambda: MeanDecreaseImpurityImportanceEvaluator(seed=0),
}


def importance(
    results: SweepResults, metric: str | None = None, evaluator: str = "ped-anova"
) -> list[dict[str, Any]]:
    """The settings' importances, a record per arm in the file's order; see `Results.importance`.

    Raises:
        SpecError: If the sweep has no such metric, or there is no such evaluator.
    """
    metric = results.metric(metric or results.spec.select.metric, "metric")
    if evaluator not in EVALUATORS:
        raise SpecError(
            f"expected one of Optuna's evaluators, got {evaluator!r}"
            f"{nearest(evaluator, EVALUATORS)}",
            field="evaluator",
        )
    with quiet():
        return [record_of(each, evaluator) for each in histories(results, (metric,))]


def render(sweep: str, found: Sequence[Mapping[str, Any]], form: str) -> str:
    """The records as `text` or `json`."""
    if form == "json":
        return (
            json.dumps({"sweep": sweep, "arms": list(found)}, indent=2, ensure_ascii=False) + "\n"
        )
    rows = [
        {
            "arm": _arm(record),
            "setting": name,
            "importance": f"{value:.2f}",
            "configurations": record["configurations"],
        }
        for record in found
        for name, value in record["importances"].items()
    ]
    text = "".join(
        f"{sweep}: importance for {each['metric']}, by {each['evaluator']}\n" for each in found[:1]
    )
    text += "\n" + arrow_text(pa.Table.from_pylist(rows)) if rows else ""
    return text + "".join(f"{note}\n" for record in found for note in _notes(record))


def record_of(history: History, evaluator: str) -> dict[str, Any]:
    """One arm's record."""
    finished = [trial for trial in history.trials if trial.state == TrialState.COMPLETE]
    left_out = _left_out(history, finished)
    names = {name for trial in finished for name in trial.params} - set(left_out)
    reason = _reason(history, finished, names)
    found = {} if reason else _importances(history, finished, sorted(names), evaluator)
    if not reason and not found:
        reason = "no setting tells the best configurations from the others"
    return {
        "task": history.arm.task_label,
        "estimator": history.arm.estimator_label,
        "metric": history.metrics[0],
        "evaluator": evaluator,
        "configurations": len(finished),
        "importances": found,
        "left_out": left_out if found else {},
        "reason": reason,
    }


def _importances(
    history: History, finished: Sequence[FrozenTrial], names: list[str], evaluator: str
) -> dict[str, float]:
    """Each setting's share, the largest first; none if Optuna finds no difference at all."""
    study = history.study()
    study.add_trials(finished)
    found = get_param_importances(
        study, evaluator=EVALUATORS[evaluator](), params=names, normalize=False
    )
    total = sum(found.values())
    ordered = sorted(names, key=lambda name: (-found[name], name))
    return {name: float(found[name] / total) for name in ordered} if total > 0 else {}


def _left_out(history: History, finished: Sequence[FrozenTrial]) -> dict[str, str]:
    """The settings that cannot be compared over all finished configurations, and why."""
    found = {}
    for name in sorted({name for trial in finished for name in trial.params}):
        own = [trial.params[name] for trial in finished if name in trial.params]
        if len(own) < len(finished):
            found[name] = f"in {len(own)} of {len(finished)} configurations only"
        elif len(set(own)) == 1:
            found[name] = f"{own[0]} in all configurations"
    return found


def _reason(history: History, finished: Sequence[FrozenTrial], names: set[str]) -> str | None:
    """Why nothing can be said of the arm; None if something can."""
    if not history.arm.searched:
        return "nothing is searched"
    if len({trial.value for trial in finished}) < 2:
        same = " with the same one" if len(finished) > 1 else ""
        return (
            f"expected at least 2 finished configurations with different {history.metrics[0]}, "
            f"got {len(finished)}{same}"
        )
    return None if names else "no setting that every configuration has took two values"


def _arm(record: Mapping[str, Any]) -> str:
    return f"{record['estimator']} · {record['task']}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What has to be known of an arm besides the numbers."""
    if record["reason"]:
        return [f"{_arm(record)}: {record['reason']}"]
    return [f"{_arm(record)}: {name} left out, {why}" for name, why in record["left_out"].items()]
