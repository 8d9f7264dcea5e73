"""What users import: `run`, `open` and `Results`. What is heavy waits until it is used."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.results.sweep_results import SweepResults
from raysweep.results.table import ResultTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from raysweep.studies.export import Export


class Table(ResultTable):
    """A result table that can be printed."""

    def render(self, format: str) -> str:
        """The table as text: `text`, `markdown`, `latex`, `html`, `csv` or `json`."""
        from raysweep.formats import render

        return render(self, format)


class Results(SweepResults):
    """A sweep in a store: rows, tables, statistics, figures, reports.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.

    Raises:
        SpecError: If the store has no such sweep.
    """

    def table(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        rows: str | Sequence[str] = (),
        columns: str | Sequence[str] = (),
        where: str | None = None,
        **style: Any,
    ) -> Table:
        """The result table.

        Args:
            select: The metric whose mean over seeds selects a cell's configuration; the sweep
                file's if None.
            report: The metric shown; the one that selects if None.
            rows: Labels of the estimators to show; all if there are none.
            columns: Labels of the tasks to show; likewise.
            where: A condition in SQL over the columns of `runs`; what does not meet it is left
                out, seeds that are all left out too are no longer waited for.
            style: `spread` (`std`, `sem` or `ci`), `test` (`welch` or `mann-whitney`) and `level`
                (of significance, 0.05).

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
        """
        found = super().table(
            select=select, report=report, rows=rows, columns=columns, where=where, **style
        )
        fields = (field.name for field in dataclasses.fields(found))
        return Table(**{name: getattr(found, name) for name in fields})

    def plot(self, kind: str = "curves", **options: Any) -> "Figure":
        """A figure, to be saved with its `savefig`.

        Args:
            kind: `curves`, `time`, `heatmap`, `parallel`, `search`, `seeds` or `paths`.
            options: As `raysweep plot` takes them: `select`, `tasks` and `estimators` (labels)
                and `size` (`screen`, `column` or `page`) for every kind; `metric` for all but
                search and paths, several names for curves and time; `log` for curves, time and
                search; `band` (`sem`, `std` or `ci`) for curves and time; `over` (a setting or
                two) for a heatmap; `x` and `y` (metrics, pair by pair) for paths.

        Raises:
            SpecError: If an option names what the sweep lacks, or there is nothing to draw yet.
        """
        from raysweep.figures.kinds import figure

        return figure(self, kind, options)

    def report(self, path: str | Path | None = None, *, select: str | None = None) -> Path:
        """Writes tables, figures, statistics and provenance into one HTML file without a network.

        Args:
            path: The file, which ends in `.html`; None for `<sweep>.html` in the working directory.
            select: The metric whose mean over seeds selects a configuration; the sweep file's if
                None.

        Returns:
            The file.

        Raises:
            SpecError: If the sweep has no such metric, or the file cannot be written.
        """
        from raysweep.report.write import save

        return save(self, path, select)

    def importance(
        self, metric: str | None = None, evaluator: str = "ped-anova"
    ) -> list[dict[str, Any]]:
        """How much each searched setting matters, by one of Optuna's evaluators.

        Args:
            metric: What settings may matter to, as its mean over seeds; the first that the sweep
                selects by if None.
            evaluator: `ped-anova`, `fanova` or `mdi`.

        Returns:
            A record per arm, in the file's order: `task`, `estimator`, `metric`, `evaluator`,
            `configurations` (how many finished), `importances` (a share of 1 for each setting,
            the largest first), `left_out` (settings without one, and why), and `reason`: why
            there are none, or None.

        Raises:
            SpecError: If the sweep has no such metric, or there is no such evaluator.
        """
        from raysweep.studies.importance import importance

        return importance(self, metric, evaluator)

    def export_optuna(self, path: str | Path, metric: str | None = None) -> "Export":
        """Writes the sweep's studies, one per arm, into a new file that Optuna opens.

        Args:
            path: A journal if it ends in `.log` or `.jsonl`, SQLite otherwise.
            metric: The objective; what the sweep selects by if None.

        Raises:
            SpecError: If the sweep has no such metric, or the file cannot be written or is there.
        """
        from raysweep.studies.export import export

        return export(self, path, metric)

    def export_csv(self, path: str | Path, table: str = "runs") -> int:
        """Writes a table of the store into a new CSV file; how many rows.

        Args:
            path: Where to; the file may not be there yet.
            table: `runs`, `curves`, `attempts` or `decisions`.

        Raises:
            SpecError: If there is no such table, or the file cannot be written or is there.
        """
        from raysweep.formats.csv_file import write_csv

        return write_csv(self.dataset(table), Path(path))


def run(  # noqa: PLR0913 - the options of the command
    spec: str | Path | Mapping[str, Any],
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
    address: str | None = None,
    inline: bool = False,
    smoke: bool = False,
    changes: Sequence[str] = (),
    quiet: bool = True,
    retry_failed: bool = False,
    again: str | None = None,
) -> Results:
    """Runs what is missing of a sweep, and returns its results.

    Args:
        spec: Path of a sweep file, or its content as a mapping.
        store: Folder or URI where sweeps live; `$RAYSWEEP_STORE` or `sweeps` if None.
        data: Folder of the data sets; `$RAYSWEEP_DATA` or `~/.cache/raysweep` if None.
        address: Of a Ray cluster to join; a local one is started if None.
        inline: Train in this process, without Ray.
        smoke: Run a few steps of one configuration per arm only.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        quiet: Show no progress.
        retry_failed: Try runs again that failed as often as they may.
        again: Condition in SQL over the columns of `runs`: planned runs that meet it lose their
            results and are trained anew.

    Raises:
        SpecError: If the sweep file is wrong, or stored runs have values of former defaults.
        StoreError: If the store cannot be used, or another driver runs the sweep.
        ClusterError: If Ray cannot give what the sweep asks for.
        KeyboardInterrupt: If the session was stopped.
    """
    from raysweep.driver.session import drive, load
    from raysweep.progress import Progress

    session = drive(
        load(spec, changes, smoke=smoke),
        store=store,
        data=data,
        address=address,
        inline=inline,
        progress=None if quiet else Progress(),
        retry_failed=retry_failed,
        again=again,
    )
    if session.exit_code >= 128:
        raise KeyboardInterrupt
    return Results(session.store.store.uri, session.store.sweep)


def open_results(store: str | Path, sweep: str) -> Results:
    """The results of a sweep in a store.

    Raises:
        SpecError: If the store has no such sweep.
    """
    return Results(store, sweep)
