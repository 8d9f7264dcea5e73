"""Captions of a result table: its title, the meaning of its marks, and notes on its cells."""

from collections.abc import Sequence

from raysweep import text
from raysweep.results.stats.intervals import OF_MEAN
from raysweep.results.table import WITHOUT_VALUE, Column, ResultTable

SPREADS = {
    "std": "mean ± std",
    "sem": "mean ± standard error",
    "ci": f"mean [{OF_MEAN}]",
}
NOT_ALIKE = "this does not show that marked rows are alike"
TESTS = {
    "paired t": "paired t-test over shared seeds",
    "Welch's t": "Welch's t-test",
    "Wilcoxon signed-rank": "Wilcoxon's signed-rank test over shared seeds",
    "Mann-Whitney": "Mann-Whitney test",
}


def title(table: ResultTable, *, counted: bool = True, numbers: str = "") -> str:
    """Return the title, which describes the numbers.

    Args:
        table: The result table to describe.
        counted: Whether every entry shows its number of seeds; otherwise the title does.
        numbers: Name of the numbers; mean and spread in the table's style, with n if it is
            counted, if empty.
    """
    unit = f" [{table.unit}]" if table.unit else ""
    better = "lower" if table.report_direction == "min" else "higher"
    seeds, searched = "seeds" if counted else _seeds(table), ""
    if table.fresh_seeds:
        all_ended = counted or table.seeds == table.fresh_seeds
        ended = "" if all_ended else f"{_numbers_of_seeds(table)} of "
        seeds = f"{ended}{text.counted(table.fresh_seeds, 'fresh seed')}"
        searched = " on the seeds of the search"
    elif table.fresh_counts:
        low, high = table.fresh_counts[0], table.fresh_counts[-1]
        seeds = f"{low} to {high} fresh seeds" if low else "fresh seeds, or those of the search,"
        searched = " on the seeds of the search"
    where = f"; runs where {' '.join(table.where.split())}" if table.where else ""
    numbers = numbers or SPREADS[table.style.spread] + (" (n)" if counted else "")
    return (
        f"{table.sweep}: {table.report}{unit}, {numbers} over {seeds} at the configuration "
        f"with the {table.select_mode}imum mean {table.select}{searched}; "
        f"{better} is better{where}"
    )


def _seeds(table: ResultTable) -> str:
    numbers = _numbers_of_seeds(table)
    return f"{numbers} {'seed' if numbers == '1' else 'seeds'}"


def _numbers_of_seeds(table: ResultTable) -> str:
    counts = {cell.n for cell in table.cells if cell.mean is not None}
    if not counts:
        return "0"
    return str(table.seeds) if table.seeds is not None else f"{min(counts)} to {max(counts)}"


def mark(table: ResultTable, columns: Sequence[Column] | None = None) -> str:
    """Return the meaning of a mark in these columns, or in all; empty if nothing is marked."""
    judged = [table.judgement(column) for column in (table.columns if columns is None else columns)]
    if not any(judgement.bold for judgement in judged):
        return ""
    tests = sorted({test for judgement in judged for test in judgement.tests})
    if not tests:
        untested = any(judgement.p_values for judgement in judged)  # otherwise all are equal
        return "best of its column" + (" (no test: fewer than two seeds)" if untested else "")
    used = " or ".join(TESTS[test] for test in tests)
    shared = any(set(judgement.bold) - set(judgement.best) for judgement in judged)
    return (
        f"best of its column, or not significantly worse: two-sided {used}, Holm's correction over "
        f"the rows, p ≥ {table.style.level:g}" + f"; {NOT_ALIKE}" * shared
    )


def notes(table: ResultTable, columns: Sequence[Column] | None = None) -> list[str]:
    """Return the notes that explain the cells of the table.

    Args:
        table: The result table.
        columns: Columns that are shown; all if None.
    """
    columns = table.columns if columns is None else columns
    outdated = [f"left out: {line}" for line in table.outdated]
    renamed = table.renamed
    return [*outdated, *renamed, *_statuses(table), *_excluded(table), *_statistics(table, columns)]


def _statuses(table: ResultTable) -> list[str]:
    lines = []
    if any(cell.status == "provisional" for cell in table.cells):
        lines.append("? provisional: some seeds have not finished")
    lines += without_value(table)
    if any(cell.status == "unreported" for cell in table.cells):
        lines.append("unreported: no fresh seed of the selected configuration has ended yet")
    return lines


def without_value(table: ResultTable) -> list[str]:
    """Return the lines on cells whose runs lack the metric shown, which name the task's metrics."""
    tasks: dict[tuple[str, ...], list[str]] = {}
    for task, metrics in table.lacking.items():
        tasks.setdefault(metrics, []).append(task)
    lines = [
        f"no value: the runs on {', '.join(labels)} have no {table.report}, but "
        f"{', '.join(metrics)}"
        for metrics, labels in tasks.items()
    ]
    if any(
        cell.mean is None and cell.status not in WITHOUT_VALUE and cell.task not in table.lacking
        for cell in table.cells
    ):
        lines.append(f"no value: no run of the selected configuration has {table.report}")
    return lines


def _excluded(table: ResultTable) -> list[str]:
    """Return the lines on configurations and seeds that are excluded."""
    lines = []
    for cell in table.cells:
        arm = f"{cell.estimator} on {cell.task}"
        lines += [
            f"{arm}: {count} of {text.counted(cell.configurations, 'configuration')} "
            f"{'has' if count == 1 else 'have'} a {status} seed and "
            "cannot be selected"
            for count, status in ((cell.diverged, "diverged"), (cell.failed, "failed"))
            if count
        ]
        if cell.fresh_diverged:
            lines.append(
                f"{arm}: {cell.fresh_diverged} of {table.fresh_seeds} fresh seeds of the "
                "selected configuration diverged"
            )
    if stopped := sum(cell.stopped for cell in table.cells):
        total = sum(cell.configurations for cell in table.cells)
        lines.append(f"stopped early: {stopped} of {text.counted(total, 'configuration')}")
    return lines


def _statistics(table: ResultTable, columns: Sequence[Column]) -> list[str]:
    """Return the lines on tests and intervals that lack seeds, and on ranks."""
    lines = []
    short = [
        column.label
        for column in columns
        if table.judgement(column).attainable >= table.style.level
    ]
    if short:
        lines.append(
            f"too few seeds for this test: none could be significantly worse on {', '.join(short)}"
        )
    if table.style.spread == "ci" and any(
        cell.mean is not None and table.entry(cell.estimator, column).interval is None
        for column in columns
        if column.kind == "task"
        for cell in table.cells
        if cell.task == column.label
    ):
        lines.append("no interval: fewer than five seeds")
    ranked = [column for column in columns if column.kind == "rank"]
    if any(
        table.mean(estimator, column) is not None
        for column in ranked
        for estimator in table.estimators
    ):
        lines.append(
            f"rank: mean over tasks, 1 the best, among {table.row_kind}s with a final mean on "
            "every task"
        )
    return lines
