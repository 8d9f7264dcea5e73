"""Several sweeps side by side: one table of all, or the differences between two."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError
from raysweep.results.labels import named
from raysweep.results.same_arms import Labels, Pair, labels_of, pairs_of, renamed
from raysweep.results.stats.significance import compare
from raysweep.results.sweep_results import SweepResults
from raysweep.results.table import Column, Entry, ResultTable
from raysweep.sweep import space
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.sweep.spec import Arm, Spec

NOWHERE = ("", "")  # labels of no arm
SECTIONS = {  # of a stored file, with their names
    "seeds": "seeds",
    "report_seeds": "number of fresh seeds",
    "search": "search",
    "select": "select",
    "early_stopping": "early_stopping",
    "budget": "budget",
    "arm_budget": "budget of each arm",
}
LONG = 6  # consecutive numbers of which only the first and the last are shown


@dataclasses.dataclass(frozen=True)
class Change:
    """A value that two sweeps do not share.

    Args:
        name: Name of the value.
        first: Value in the first sweep as text; empty where it has none.
        second: Value in the second sweep as text; empty where it has none.
    """

    name: str
    first: str
    second: str


@dataclasses.dataclass(frozen=True)
class ArmDifference:
    """An arm of two sweeps: what each shows for it.

    Args:
        estimator: Label of the estimator, in the first sweep that has the arm.
        task: Label of the task, in the first sweep that has the arm.
        entries: Content of the cell in either table; None in a sweep without the arm.
        settings: Settings of the configuration that either table shows, as far as one of the sweeps
            searches them.
        change: Mean in the second sweep minus that in the first; None unless both are final.
        p_value: p-value of the difference, without correction; None where no test is possible.
        renamed: Labels of estimator and task in the second sweep, if they differ; else None.
    """

    estimator: str
    task: str
    entries: tuple[Entry | None, Entry | None]
    settings: tuple[Mapping[str, Any], Mapping[str, Any]]
    change: float | None
    p_value: float | None
    renamed: Labels | None = None


@dataclasses.dataclass(frozen=True)
class Difference:
    """The differences between two sweeps.

    Args:
        sweeps: Names of the two sweeps.
        metric: Metric whose means are compared.
        settings: Settings of the two files that differ.
        arms: Every arm of either sweep, in the order of the first and then of the second.
        row_kind: Word for a row of the tables: `estimator`, `method`, or `row` if the files differ.
    """

    sweeps: tuple[str, str]
    metric: str
    settings: tuple[Change, ...]
    arms: tuple[ArmDifference, ...]
    row_kind: str = "estimator"


def combined(tables: Sequence[ResultTable], specs: Sequence[Spec] = ()) -> ResultTable:
    """Return one table of several sweeps, whose rows begin with the name of their sweep.

    Args:
        tables: Tables of different sweeps, of the same metric.
        specs: The files of the sweeps, to say which labels are other names of the same arm.

    Raises:
        SpecError: If the tables select or report by different metrics.
    """
    first = tables[0]
    for table in tables[1:]:
        for field, given in (("select", table.select), ("report", table.report)):
            wanted = getattr(first, field)
            if given != wanted:
                raise SpecError(
                    f"expected one metric for all sweeps, got {wanted!r} of {first.sweep} and "
                    f"{given!r} of {table.sweep}; name one",
                    field=field,
                )
        if (table.report_direction, table.unit) != (first.report_direction, first.unit):
            raise SpecError(
                f"expected one meaning of {first.report}, but its direction or unit differs "
                f"between {first.sweep} and {table.sweep}; show their tables one by one"
            )
    fresh = {table.fresh_seeds for table in tables}
    return dataclasses.replace(
        first,
        sweep=" and ".join(table.sweep for table in tables),
        tasks=tuple(dict.fromkeys(task for table in tables for task in table.tasks)),
        estimators=tuple(row(table, label) for table in tables for label in table.estimators),
        cells=tuple(
            dataclasses.replace(cell, estimator=row(table, cell.estimator))
            for table in tables
            for cell in table.cells
        ),
        fresh_seeds=min(fresh) if len(fresh) == 1 else 0,
        fresh_counts=tuple(sorted(fresh)) if len(fresh) > 1 else (),
        front=(),
        front_metrics=(),
        renamed=renamed(specs, tables) if specs else (),
        outdated=tuple(f"{table.sweep}: {line}" for table in tables for line in table.outdated),
        alike=all(table.alike for table in tables),
        lacking={
            task: names
            for table in tables
            for task, names in table.lacking.items()
            if all(task in other.lacking for other in tables if task in other.tasks)
        },
        row_kind=_common_kind(table.row_kind for table in tables),
    )


def _common_kind(kinds: Iterable[str]) -> str:
    """Return the one word of all sweeps for their rows, else `row`."""
    known = set(kinds)
    return known.pop() if len(known) == 1 else "row"


def row(table: ResultTable, label: str) -> str:
    """Return the label of a row in a table of several sweeps."""
    return f"{table.sweep}: {label}"


def difference(first: SweepResults, second: SweepResults, report: str | None = None) -> Difference:
    """Return the differences between two sweeps.

    Args:
        first: Results of the first sweep.
        second: Results of the second sweep.
        report: Metric to compare; the one by which the first sweep selects if None.

    Raises:
        SpecError: If one of the sweeps has no such metric.
    """
    metric = first.metric(report or first.spec.select.metric, "report")
    second.metric(metric, "report")
    tables = first.table(report=metric), second.table(report=metric)
    pairs = pairs_of((first.spec, second.spec), tables)
    return Difference(
        (first.sweep, second.sweep),
        metric,
        tuple(_settings(first.spec, second.spec, pairs)),
        tuple(_arm(tables, pair) for pair in pairs),
        _common_kind(table.row_kind for table in tables),
    )


def _arm(tables: tuple[ResultTable, ResultTable], arms: Pair) -> ArmDifference:
    labels = [labels_of(arm) if arm else NOWHERE for arm in arms]
    estimators, columns = [pair[0] for pair in labels], [Column("task", pair[1]) for pair in labels]
    where = list(zip(tables, estimators, columns, strict=True))
    cells = [table.cell(*pair) for table, pair in zip(tables, labels, strict=True)]
    means = [table.mean(estimator, column) for table, estimator, column in where]
    values = [table.values(estimator, column) for table, estimator, column in where]
    change = None if None in means else (means[1] or 0.0) - (means[0] or 0.0)
    tested = compare(values[1], values[0]) if values[0] and values[1] else None
    entries = [
        None if cell is None else table.entry(estimator, column)
        for cell, (table, estimator, column) in zip(cells, where, strict=True)
    ]
    searched = [{} if cell is None else cell.settings for cell in cells]
    settings = [
        {**_fixed(arm, dict.fromkeys([*searched[0], *searched[1]])), **known}
        for arm, known in zip(arms, searched, strict=True)
    ]
    return ArmDifference(
        *(labels[1] if arms[0] is None else labels[0]),
        (entries[0], entries[1]),
        (settings[0], settings[1]),
        change,
        None if tested is None else tested.p_value,
        labels[1] if None not in arms and labels[0] != labels[1] else None,
    )


def _fixed(arm: Arm | None, keys: Iterable[str]) -> dict[str, Any]:
    """Return those of the settings that have one value in an arm."""
    domains = {key: arm.space.get(key) for key in keys} if arm else {}
    return {key: domain.value for key, domain in domains.items() if isinstance(domain, space.Fixed)}


def _settings(first: Spec, second: Spec, pairs: Sequence[Pair]) -> Iterator[Change]:
    """Yield the differences between two files: sections, then arms, then settings of arms."""
    files = first.to_json(), second.to_json()
    for section, name in SECTIONS.items():
        values = [file[section] for file in files]
        if section == "report_seeds":  # consecutive, so that their number says all
            values = [len(seeds) or None for seeds in values]
        texts = [text_of(value) for value in values]
        if texts[0] != texts[1]:
            yield Change(name, *texts)
    shared = []
    for one, other in pairs:
        names = [arm.name if arm else "" for arm in (one, other)]
        if one is None or other is None:
            yield Change(f"arm {names[0] or names[1]}", *("yes" * bool(name) for name in names))
            continue
        if names[0] != names[1]:
            yield Change("arm", *names)
        shared.append((one, other))
    changes: dict[Change, list[Labels]] = {}
    for one, other in shared:
        for change in _domains(one, other):
            changes.setdefault(change, []).append(labels_of(one))
    every = [labels_of(one) for one, _ in shared]
    for change, of_arms in changes.items():
        where = "" if len(of_arms) == len(shared) else f" of {named(of_arms, every)}"
        yield dataclasses.replace(change, name=change.name + where)


def _domains(first: Arm, second: Arm) -> Iterator[Change]:
    for kind in ("task", "estimator"):
        names = [getattr(arm, kind) for arm in (first, second)]
        if kind == "estimator":
            names = ["" if name == NO_ESTIMATOR else name for name in names]
        if names[0] != names[1]:
            yield Change(kind, *names)
    for key in dict.fromkeys([*first.space, *second.space]):
        texts = [
            text_of(space.to_json(arm.space[key])) if key in arm.space else ""
            for arm in (first, second)
        ]
        if texts[0] != texts[1]:
            yield Change(key, *texts)


def text_of(value: Any) -> str:
    """Return plain data as short text: a fixed value or choices by themselves."""
    if isinstance(value, Mapping):
        if len(value) == 1 and (key := next(iter(value))) in ("value", "choice"):
            return text_of(value[key])
        known = {key: entry for key, entry in value.items() if not _is_empty(entry)}
        return ", ".join(f"{key}: {_inside(entry)}" for key, entry in known.items())
    if isinstance(value, list | tuple):
        if len(value) >= LONG and list(value) == _counted_from(value[0], len(value)):
            return f"[{value[0]}, {value[1]}, …, {value[-1]}]"
        return f"[{', '.join(map(_inside, value))}]"
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _counted_from(first: Any, count: int) -> list[int] | None:
    return list(range(first, first + count)) if isinstance(first, int) else None


def _inside(value: Any) -> str:
    """Return the text of a part of other data: a mapping is in braces."""
    return f"{{{text_of(value)}}}" if isinstance(value, Mapping) else text_of(value)


def _is_empty(value: Any) -> bool:
    return (
        value is None or value is False or (isinstance(value, Mapping | list | tuple) and not value)
    )
