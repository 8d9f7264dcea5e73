"""Importance of each searched setting for a metric, by Optuna's evaluators."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    MeanDecreaseImpurityImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, TrialState

from raysweep.errors import SpecError, nearest
from raysweep.results.sweep_results import SweepResults
from raysweep.studies.history import History, histories, quiet

FEW = 20  # configurations below which importances say little
EVALUATORS: Mapping[str, Callable[[], BaseImportanceEvaluator]] = {
    "ped-anova": PedAnovaImportanceEvaluator,
    "fanova": lambda: FanovaImportanceEvaluator(seed=0),
    "mdi": lambda: MeanDecreaseImpurityImportanceEvaluator(seed=0),
}


def importance(
    results: SweepResults, metric: str | None = None, evaluator: str = "ped-anova"
) -> list[dict[str, Any]]:
    """Return the importances as a record per arm, in the file's order; see `Results.importance`.

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
        return [record_of(history, evaluator) for history in histories(results, (metric,))]


def record_of(history: History, evaluator: str) -> dict[str, Any]:
    """Return the record of one arm."""
    finished = [trial for trial in history.trials if trial.state == TrialState.COMPLETE]
    left_out = _left_out(history, finished)
    names = {name for trial in finished for name in trial.params} - set(left_out)
    reason = _reason(history, finished, names)
    importances = {} if reason else _importances(history, finished, sorted(names), evaluator)
    if not reason and not importances:
        reason = "no setting distinguishes the best configurations from the others"
    return {
        "task": history.arm.task_label,
        "estimator": history.arm.estimator_label,
        "metric": history.metrics[0],
        "evaluator": evaluator,
        "configurations": len(finished),
        "too_few": len(finished) < FEW,
        "importances": importances,
        "left_out": left_out if importances else {},
        "reason": reason,
    }


def _importances(
    history: History, finished: Sequence[FrozenTrial], names: list[str], evaluator: str
) -> dict[str, float]:
    """Return each setting's share, the largest first; none if Optuna measures no difference."""
    study = history.study()
    study.add_trials(finished)
    values = get_param_importances(
        study, evaluator=EVALUATORS[evaluator](), params=names, normalize=False
    )
    total = sum(values.values())
    ordered = sorted(names, key=lambda name: (-values[name], name))
    return {name: float(values[name] / total) for name in ordered} if total > 0 else {}


def _left_out(history: History, finished: Sequence[FrozenTrial]) -> dict[str, str]:
    """Return the settings that cannot be compared over all finished configurations, and why."""
    reasons = {}
    for name in sorted({name for trial in finished for name in trial.params}):
        values = [trial.params[name] for trial in finished if name in trial.params]
        if len(values) < len(finished):
            reasons[name] = f"in {len(values)} of {len(finished)} configurations only"
        elif len(set(values)) == 1:
            reasons[name] = f"{values[0]} in all configurations"
    return reasons


def _reason(history: History, finished: Sequence[FrozenTrial], names: set[str]) -> str | None:
    """Return why the arm has no importances; None if it can have some."""
    if not history.arm.searched:
        return "nothing is searched"
    if len({trial.value for trial in finished}) < 2:
        equal = " with equal values" if len(finished) > 1 else ""
        return (
            f"needs at least 2 finished configurations with different {history.metrics[0]}, "
            f"has {len(finished)}{equal}"
        )
    return None if names else "no setting of all configurations has two values"
