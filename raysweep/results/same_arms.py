"""Arms of two sweeps that are the same, under the same labels or under others."""

from collections.abc import Mapping, Sequence

from raysweep.results.table import ResultTable
from raysweep.sweep import space
from raysweep.sweep.spec import Arm, Spec

Labels = tuple[str, str]  # of estimator and task
Pair = tuple[Arm | None, Arm | None]


def pairs_of(specs: tuple[Spec, Spec], tables: tuple[ResultTable, ResultTable]) -> list[Pair]:
    """Return the arms of two sweeps, paired; None in place of an arm that one of them lacks.

    Arms with the same labels are a pair. Of the others, those with the same settings are, and then
    those whose selected configurations have runs in common: one of them was renamed.

    Args:
        specs: The two sweep files.
        tables: Result tables of the two sweeps.

    Returns:
        The pairs, in the order of the first file, then the other arms of the second.
    """
    first, second = specs
    others = {labels_of(arm): arm for arm in second.arms}
    partners: dict[str, Arm | None] = {
        arm.name: others.pop(labels_of(arm), None) for arm in first.arms
    }
    for is_same in (_has_same_settings, _Shared(tables)):
        for arm in first.arms:
            if partners[arm.name] is None:
                match = next((other for other in others.values() if is_same(arm, other)), None)
                if match is not None:
                    partners[arm.name] = others.pop(labels_of(match))
    pairs: list[Pair] = [(arm, partners[arm.name]) for arm in first.arms]
    return [*pairs, *((None, arm) for arm in others.values())]


def renamed(specs: Sequence[Spec], tables: Sequence[ResultTable]) -> tuple[str, ...]:
    """Return a line for each label of a later sweep that is another one in the first sweep.

    Args:
        specs: The sweep files.
        tables: Result tables of the sweeps.
    """
    lines: dict[str, None] = {}
    for spec, table in zip(specs[1:], tables[1:], strict=True):
        for first, second in pairs_of((specs[0], spec), (tables[0], table)):
            if first is None or second is None or table.cell(*labels_of(second)) is None:
                continue
            names = (tables[0].sweep, table.sweep)
            if first.estimator_label != second.estimator_label:
                old, new = first.estimator_label, second.estimator_label
                lines[f"{names[1]}: {new} is the same as {names[0]}: {old}"] = None
            if first.task_label != second.task_label:
                old, new = first.task_label, second.task_label
                lines[f"task {new} of {names[1]} is the same as task {old} of {names[0]}"] = None
    return tuple(lines)


def labels_of(arm: Arm) -> Labels:
    """Return the labels of an arm's estimator and task."""
    return arm.estimator_label, arm.task_label


def _has_same_settings(first: Arm, second: Arm) -> bool:
    return first.definition == second.definition and _domains(first) == _domains(second)


def _domains(arm: Arm) -> Mapping[str, object]:
    return {key: space.to_json(domain) for key, domain in arm.space.items()}


class _Shared:
    """Comparison of arms by the runs that they show.

    Args:
        tables: Result tables of the two sweeps.
    """

    def __init__(self, tables: tuple[ResultTable, ResultTable]) -> None:
        self._runs = [
            {(cell.estimator, cell.task): set(cell.run_ids) for cell in table.cells}
            for table in tables
        ]

    def __call__(self, first: Arm, second: Arm) -> bool:
        """Check whether an arm of the first sweep shows a run that one of the second shows, too."""
        one, other = (
            runs.get(labels_of(arm), set())
            for runs, arm in zip(self._runs, (first, second), strict=True)
        )
        return not one.isdisjoint(other)
