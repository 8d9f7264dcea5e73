"""What has to be said beside a result table: its title, its marks, and what is missing."""

from raysweep.results.table import WITHOUT_VALUE, ResultTable

SPREADS = {
    "std": "mean ± std",
    "sem": "mean ± standard error",
    "ci": "mean [95 % studentised bootstrap interval]",
}
TESTS = {
    "paired t": "paired t-test over shared seeds",
    "Welch's t": "Welch's t-test",
    "Wilcoxon signed-rank": "Wilcoxon's signed-rank test over shared seeds",
    "Mann-Whitney": "Mann-Whitney test",
}


def title(table: ResultTable, *, counted: bool = True) -> str:
    """What the numbers are.

    Args:
        table: Of which.
        counted: Whether each entry tells its number of seeds; if not, the title tells the one.
    """
    unit = f" [{table.unit}]" if table.unit else ""
    better = "lower" if table.report_direction == "min" else "higher"
    seeds, searched = "seeds" if counted else f"{table.seeds} seeds", ""
    if table.fresh_seeds:
        ended = "" if counted or table.seeds == table.fresh_seeds else f"{table.seeds} of "
        seeds = f"{ended}{table.fresh_seeds} fresh seeds"
        searched = " on the seeds of the search"
    where = f"; runs where {' '.join(table.where.split())}" if table.where else ""
    numbers = SPREADS[table.style.spread] + (" (n)" if counted else "")
    return (
        f"{table.sweep}: {table.report}{unit}, {numbers} over {seeds} at the configuration "
        f"with the {table.select_mode}imum mean {table.select}{searched}; "
        f"{better} is better{where}"
    )


def mark(table: ResultTable) -> str:
    """What is marked in a column; empty where nothing is."""
    judged = [table.judgement(column) for column in table.columns]
    if not any(each.bold for each in judged):
        return ""
    tests = sorted({test for each in judged for test in each.tests})
    if not tests:
        untested = any(each.p_values for each in judged)  # else all are equal
        return "best of its column" + (" (no test: fewer than two seeds)" if untested else "")
    over = " or ".join(TESTS[each] for each in tests)
    return (
        f"best of its column, or not significantly worse: two-sided {over}, Holm's correction over "
        f"the rows, p ≥ {table.style.level:g}"
    )


def notes(table: ResultTable) -> list[str]:
    """What has to be known to read the table."""
    outdated = [f"left out: {line}" for line in table.outdated]
    return [*outdated, *_standings(table), *_lost(table), *_statistics(table)]


def _standings(table: ResultTable) -> list[str]:
    found = []
    if any(each.status == "provisional" for each in table.cells):
        fresh = ", or fresh ones are still to end" if table.fresh_seeds else ""
        found.append(f"? provisional: no configuration has all its seeds yet{fresh}")
    if any(each.mean is None and each.status not in WITHOUT_VALUE for each in table.cells):
        found.append(f"no value: no run of the selected configuration has {table.report}")
    if any(each.status == "unreported" for each in table.cells):
        found.append("unreported: no fresh seed of the selected configuration has ended yet")
    return found


def _lost(table: ResultTable) -> list[str]:
    """Configurations and seeds that count for nothing."""
    found = []
    for cell in table.cells:
        where = f"{cell.estimator} on {cell.task}"
        found += [
            f"{where}: {count} of {cell.configurations} configurations have a {what} seed and "
            "cannot be selected"
            for count, what in ((cell.diverged, "diverged"), (cell.failed, "failed"))
            if count
        ]
        if cell.fresh_diverged:
            found.append(
                f"{where}: {cell.fresh_diverged} of {table.fresh_seeds} fresh seeds of the "
                "selected configuration diverged"
            )
    if stopped := sum(each.stopped for each in table.cells):
        total = sum(each.configurations for each in table.cells)
        found.append(f"stopped early: {stopped} of {total} configurations")
    return found


def _statistics(table: ResultTable) -> list[str]:
    """What the numbers of seeds do not allow."""
    found = []
    short = [
        column.label
        for column in table.columns
        if table.judgement(column).attainable >= table.style.level
    ]
    if short:
        found.append(
            f"too few seeds for this test: none could be significantly worse on {', '.join(short)}"
        )
    if table.style.spread == "ci" and any(
        cell.mean is not None and table.entry(cell.estimator, column).interval is None
        for column in table.columns
        if column.kind == "task"
        for cell in table.cells
        if cell.task == column.label
    ):
        found.append("no interval: fewer than five seeds")
    ranked = [column for column in table.columns if column.kind == "rank"]
    if any(table.mean(each, column) is not None for column in ranked for each in table.estimators):
        found.append(
            "rank: mean over tasks, 1 the best, among estimators with a final mean on every task"
        )
    return found
