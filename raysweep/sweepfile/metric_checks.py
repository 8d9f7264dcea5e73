"""Checks of the metrics that a sweep file names: whether its settings let them have a value."""

from collections.abc import Iterator, Sequence

from raysweep import registry
from raysweep.sweep.metrics import exclusion
from raysweep.sweep.spec import Arm, Spec


def mistakes(spec: Spec, arms: Sequence[Arm]) -> Iterator[tuple[str, str]]:
    """Yield each mistake, with the section of the file that it is in.

    Args:
        spec: Spec of the sweep.
        arms: Arms whose tasks have no mistake; mistakes of arms with the same task are equal.
    """
    stopping = spec.early_stopping
    for metric in [objective.metric for objective in spec.select.all]:
        for mistake in _without_value(arms, metric):
            yield "select", mistake
    if stopping is None or not stopping.by_steps:
        return
    if stopping.metric != spec.select.metric:
        for mistake in _without_value(arms, stopping.metric):
            yield "early_stopping", mistake
    for mistake in _too_late(arms, stopping.metric):
        yield "early_stopping", mistake


def _without_value(arms: Sequence[Arm], metric: str) -> Iterator[str]:
    for arm in arms:
        declared = registry.task(arm.task).metrics.get(metric)
        if declared and (refusal := exclusion(arm, declared.needs)) is not None:
            yield (
                f"{metric} has no value for the task {arm.task_label!r} {refusal.reason}, or name "
                "another metric"
            )


def _too_late(arms: Sequence[Arm], metric: str) -> Iterator[str]:
    """Yield the reason why a metric is not known at rungs, for each task where that is so."""
    for arm in arms:
        declared = registry.task(arm.task).metrics.get(metric)
        if declared is None or not declared.at_end:
            continue
        key = f"task.{declared.early}"
        is_measured = declared.early is not None and key in arm.space
        if not is_measured:
            advice = ""
        elif exclusion(arm, {declared.early or "": 1}) is not None:
            advice = f"set {declared.early}, or "
        else:
            continue
        yield (
            "expected a metric that is known before the end of a run in early_stopping, got "
            f"{metric}, which the task {arm.task_label!r} measures only at the end; {advice}name "
            "another there, such as metric: train_loss"
        )
