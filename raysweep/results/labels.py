"""Part of a sweep that is shown: labels and a condition, as options give them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from raysweep.errors import SpecError, nearest

ALIASES = {"estimators": ("rows", "methods"), "tasks": ("columns",)}


class Filters(TypedDict, total=False):
    """Options that choose a part of a sweep.

    Args:
        estimators: Labels of the estimators to show; all if empty.
        tasks: Labels of the tasks to show; all if empty.
        rows: Another name of `estimators`, which are the rows of a table.
        methods: Another name of `estimators`, for sweep files whose rows are methods.
        columns: Another name of `tasks`, which are the columns of a table.
        where: SQL condition over the columns of `runs` that the runs must meet.
    """

    estimators: str | Sequence[str]
    tasks: str | Sequence[str]
    rows: str | Sequence[str]
    methods: str | Sequence[str]
    columns: str | Sequence[str]
    where: str | None


class TableOptions(Filters, total=False):
    """Options of a result table, besides its metrics.

    Args:
        spread: Spread beside the mean: `std`, `sem` or `ci`.
        test: Significance test: `welch` or `mann-whitney`.
        level: Significance level, after Holm's correction.
        average: Whether to show the average over tasks in any case.
    """

    spread: str
    test: str
    level: float
    average: bool


def check_filters(options: Mapping[str, Any]) -> None:
    """Check that these are names of filters.

    Raises:
        TypeError: If one is not, as for an unknown argument of a function.
    """
    for name in options:
        if name not in Filters.__annotations__:
            raise TypeError(f"got an unexpected keyword argument {name!r}")


def chosen(options: Mapping[str, Any], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels that options choose, in the file's order; all labels if none is chosen.

    Args:
        options: Options, of which one may be `name` or an alias: one label or several.
        name: Name of the option, `estimators` or `tasks`.
        known: Labels of the sweep file.

    Raises:
        SpecError: If the file has no such label, or if the option is given under two names.
    """
    given = [key for key in (name, *ALIASES[name]) if options.get(key) or options.get(key) == ""]
    if len(given) > 1:
        raise SpecError(f"this is another name of {given[0]}; give one of the two", field=given[1])
    if not given:
        return known
    (field,) = given
    wanted = options[field]
    labels = [wanted] if isinstance(wanted, str) else list(wanted)
    for label in labels:
        if label not in known:
            raise SpecError(
                f"expected a label of the sweep file, got {label!r}{nearest(label, known)}",
                field=field,
            )
    return tuple(label for label in known if label in labels)


def named(arms: Sequence[tuple[str, str]], every: Sequence[tuple[str, str]]) -> str:
    """Return short names of arms: labels of estimators or tasks where they have all their arms.

    Args:
        arms: Labels of estimator and task of these arms.
        every: Labels of all arms.
    """
    for index in (0, 1):
        labels = dict.fromkeys(pair[index] for pair in arms)
        if sum(pair[index] in labels for pair in every) == len(arms):
            return ", ".join(labels)
    return ", ".join(" · ".join(pair) for pair in arms)
