"""Public interface: `run`, `open` and `Results`; heavy packages are imported when used."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.formats.shown import ShownStatistics, Sweeps, Table, Top
from raysweep.results.compare import combined
from raysweep.results.status import list_sweeps
from raysweep.results.sweep_results import SweepResults
from raysweep.store.files import Files, store_uri

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raysweep.figures.layout import Figure
    from raysweep.figures.options import Kind, PlotOptions
    from raysweep.results.labels import Filters, TableOptions
    from raysweep.studies.export import Export

log = logging.getLogger("raysweep")


class Results(SweepResults):
    """Results of a sweep in a store: rows, tables, statistics, figures, reports.

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
        **options: "Unpack[TableOptions]",
    ) -> Table:
        """Return the result table.

        Args:
            select: Metric whose mean over seeds selects a cell's configuration; the sweep file's
                if None.
            report: Metric to show; the metric that selects if None.
            options: `tasks` and `estimators` (labels to show, also called `columns`, and `rows` or
                `methods`); `where` (an SQL condition over the columns of `runs`: runs that do not
                meet it are left out, and seeds without any run left are not required); `spread`
                (`std`, `sem` or `ci`), `test` (`welch` or `mann-whitney`), `level` of significance
                (0.05), and `average` (True to show it in any case).

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
        """
        return Table.of(super().table(select=select, report=report, **options))

    def statistics(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        **filters: "Unpack[Filters]",
    ) -> ShownStatistics:
        """Return the statistics of each arm and over tasks; for the arguments see `table`."""
        return ShownStatistics.of(super().statistics(select=select, report=report, **filters))

    def top(self, n: int = 5, *, metric: str | None = None, **filters: "Unpack[Filters]") -> Top:
        """Return the best configurations of each arm, by status and then by the mean of a metric.

        Args:
            n: Largest number of configurations of an arm.
            metric: Metric whose mean over the seeds of the search sorts; the one that selects if
                None.
            filters: `estimators`, `tasks` and `where`, as in `table`.

        Raises:
            SpecError: If `n` is not positive, the sweep has no such metric or label, or no run
                meets the condition.
        """
        return Top.of(super().top(n, metric=metric, **filters))

    def __repr__(self) -> str:
        """Return the call that opens these results."""
        return f"raysweep.open({self.store.store.uri!r}, {self.sweep!r})"

    def __str__(self) -> str:
        """Return the result table as text."""
        return str(self.table())

    def _repr_html_(self) -> str:
        """Return the result table as HTML, which notebooks show."""
        return self.table()._repr_html_()

    def plot(self, kind: "Kind" = "curves", **options: "Unpack[PlotOptions]") -> "Figure":
        """Return a figure as an Altair chart, which notebooks show and its method `save` saves.

        Args:
            kind: Kind of figure: `curves`, `time`, `lines`, `heatmap`, `parallel`, `slice`,
                `search`, `seeds`, `profile` or `paths`.
            options: The options of `raysweep plot`: `select`, `tasks` and `estimators` (labels,
                also called `columns`, and `rows` or `methods`), `size` (`screen`, `column` or
                `page`), `font` (`sans` or `serif`) and `caption` (False for none) for every kind;
                `metric` for all but search and paths, several names for curves, time and lines;
                `log` for curves, time, lines, slice and search; `band` (`sem`, `std` or `ci`) for
                curves, time and lines; `all` (every configuration) for curves and time; `over`
                (settings: one for lines, one or two for a heatmap, any number for slice); `x` and
                `y` (metrics, pair by pair) for paths.

        Raises:
            SpecError: If an option names something the sweep lacks, or no run to draw has
                finished.
        """
        from raysweep.figures.kinds import figure

        return figure(self, kind, options)

    def report(self, path: str | Path | None = None, *, select: str | None = None) -> Path:
        """Write tables, figures, statistics and provenance to one HTML file that works offline.

        Args:
            path: File to write, with the suffix `.html`; `<sweep>.html` in the working directory
                if None.
            select: Metric whose mean over seeds selects a configuration; the sweep file's if None.

        Returns:
            Path of the file.

        Raises:
            SpecError: If the sweep has no such metric, or the file cannot be written.
        """
        from raysweep.report.write import save

        return save(self, path, select)

    def importance(
        self, metric: str | None = None, evaluator: str = "ped-anova"
    ) -> list[dict[str, Any]]:
        """Return the importance of each searched setting, by one of Optuna's evaluators.

        Args:
            metric: Metric, as its mean over seeds, that importances explain; the first that
                selects if None.
            evaluator: Optuna's evaluator: `ped-anova`, `fanova` or `mdi`.

        Returns:
            A record for each arm, in the file's order: `task`, `estimator`, `metric`,
            `evaluator`, `configurations` (number of finished ones), `too_few` (whether that is
            fewer than 20, too few to rely on), `importances` (share of each setting, the largest
            first; they add up to 1), `left_out` (settings without an importance, with the reason),
            and `reason` (why there are no importances, or None).

        Raises:
            SpecError: If the metric or the evaluator is unknown.
        """
        with _without_widgets():
            from raysweep.studies.importance import importance

        return importance(self, metric, evaluator)

    def export_optuna(self, path: str | Path, metric: str | None = None) -> "Export":
        """Write the sweep's studies, one per arm, to a new file that Optuna opens.

        Args:
            path: File to write: a journal if it ends in `.log` or `.jsonl`, SQLite otherwise.
            metric: Objective of the studies; the metric that selects if None.

        Raises:
            SpecError: If the sweep has no such metric, or the file exists or cannot be written.
        """
        with _without_widgets():
            from raysweep.studies.export import export

        return export(self, path, metric)

    def export_tensorboard(self, folder: str | Path) -> int:
        """Write event files for TensorBoard, a folder for each run; return the number of runs.

        Args:
            folder: Folder to write to: a new or empty one, or one with runs of this sweep, of
                which it then gets those that it lacks.

        Raises:
            SpecError: If the folder has other files, or cannot be created.
            TrackerError: If it cannot be written to.
        """
        from raysweep.trackers.opening import open_tensorboard
        from raysweep.trackers.stored import export

        return export(self, open_tensorboard(Path(folder), self.spec))

    def export_wandb(self, project: str | None = None, folder: str | Path | None = None) -> int:
        """Write runs to Weights & Biases, grouped by configuration; return the number of runs.

        Args:
            project: Name of the project, or `entity/project`; the sweep's name if None.
            folder: Folder to write to without a server, from which `wandb sync` uploads; None to
                write where the settings of Weights & Biases say.

        Raises:
            SpecError: If wandb is not installed, no one is logged in, or the folder cannot be used.
            TrackerError: If a run cannot be written.
        """
        from raysweep.trackers.opening import open_wandb
        from raysweep.trackers.stored import export

        path = None if folder is None else Path(folder).expanduser().absolute()
        return export(self, open_wandb(project or self.sweep, self.spec, path))

    def export_mlflow(self, uri: str | Path, experiment: str | None = None) -> int:
        """Write runs to MLflow, nested in one for each configuration; return the number of runs.

        Args:
            uri: URI of a server or a database, or the path of a folder, for a database in it.
            experiment: Name of the experiment; the sweep's name if None.

        Raises:
            SpecError: If mlflow is not installed, or the folder or the experiment cannot be used.
            TrackerError: If MLflow does not answer, or does not take a run.
        """
        from raysweep.trackers.opening import open_mlflow
        from raysweep.trackers.stored import export

        return export(self, open_mlflow(str(uri), experiment or self.sweep, self.spec))

    def export_csv(self, path: str | Path, table: str = "planned") -> int:
        """Write a table of the store to a new CSV file; return the number of rows.

        Args:
            path: File to write, which must not exist.
            table: Name of the table: `planned` (the runs that the file plans), `runs` (every
                ended run), `curves`, `attempts` or `decisions`.

        Raises:
            SpecError: If there is no such table, or the file exists or cannot be written.
        """
        from raysweep.formats.csv_file import write_csv
        from raysweep.results.output_file import check_new

        check_new(Path(path))
        return write_csv(*self.batches(table), Path(path))


def run(  # noqa: PLR0913 - the options of the command
    spec: str | Path | Mapping[str, Any],
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
    address: str | None = None,
    inline: bool = False,
    smoke: bool = False,
    changes: Sequence[str] = (),
    quiet: bool | None = None,
    retry_failed: bool = False,
    again: str | None = None,
    raises: bool = False,
    max_runs: int | None = None,
    tasks: Sequence[Any] = (),
) -> Results:
    """Train the missing runs of a sweep, and return its results.

    Args:
        spec: Path of a sweep file, or its content as a mapping.
        store: Folder or URI of the sweeps; `$RAYSWEEP_STORE` or `sweeps` if None.
        data: Folder of the data sets; `$RAYSWEEP_DATA` or `~/.cache/raysweep` if None.
        address: Address of a Ray cluster to join; a local one is started if None.
        inline: Train in this process, without Ray.
        smoke: Train only a few steps of one configuration per arm; inline, unless an address is
            given.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        quiet: Whether to hide the progress; if None, it is shown in notebooks only.
        retry_failed: Also retry runs that have failed `resources.max_failures` times.
        again: SQL condition over the columns of `runs`; planned runs that meet it lose their
            results and are trained again.
        raises: With `inline`, raise the first error of a run, for a debugger; otherwise a run that
            fails is recorded, and the others train.
        max_runs: Largest number of runs that the sweep file may plan; a million if None.
        tasks: Tasks of this program, such as functions decorated by `raysweep.task`, which the
            sweep may name.

    Raises:
        SpecError: If the sweep file is wrong, or stored runs have former default values, or if
            `raises` is given without `inline`.
        StoreError: If the store cannot be used, or another driver runs the sweep.
        ClusterError: If Ray cannot provide the resources of the sweep.
        KeyboardInterrupt: If the session was stopped.
    """
    with _without_widgets():
        from raysweep.code.modules import check_no_import
        from raysweep.code.objects import added
        from raysweep.driver.session import drive, load
        from raysweep.errors import SpecError
        from raysweep.formats.failed_runs import error_lines
        from raysweep.progress import Progress
        from raysweep.results.edits import changes_since

    check_no_import()
    if raises and not inline:
        raise SpecError("expected inline with raises, as other processes cannot stop in a debugger")
    hidden = not _in_notebook() if quiet is None else quiet
    with added(tasks) as code:
        session = drive(
            load(spec, changes, smoke=smoke),
            store=store,
            data=data,
            address=address,
            inline=inline or (smoke and address is None),
            progress=None if hidden else Progress(),
            retry_failed=retry_failed,
            again=again,
            raises=raises,
            max_runs=max_runs,
            code=code,
        )
        changed = changes_since(session.store) if hidden else []
    if session.exit_code >= 128:
        raise KeyboardInterrupt
    for line in [*changed, *error_lines(session.failed), *session.blocked]:
        log.warning("%s", line)
    return Results(session.store.store.uri, session.store.sweep)


@contextlib.contextmanager
def _without_widgets() -> Iterator[None]:
    """Silence a warning of tqdm, which Optuna imports: that a notebook has no widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        yield


def _in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    return module is not None and type(module.get_ipython()).__name__ == "ZMQInteractiveShell"


def open_results(store: str | Path, sweep: str) -> Results:
    """Open the results of a sweep in a store.

    Raises:
        SpecError: If the store has no such sweep.
    """
    return Results(store, sweep)


def ls(store: str | Path | None = None, *, tags: str | Sequence[str] = ()) -> Sweeps:
    """Return the sweeps of a store, as `raysweep ls` prints them.

    Args:
        store: Folder or URI of the sweeps; `$RAYSWEEP_STORE` or `sweeps` if None.
        tags: Tags that a sweep must have.

    Raises:
        StoreError: If the store cannot be reached.
    """
    wanted = (tags,) if isinstance(tags, str) else tags
    return Sweeps(list_sweeps(Files(store_uri(None if store is None else str(store))), wanted))


def compare(*results: Results, **options: Any) -> Table:
    """Return one result table of several sweeps, whose rows begin with the name of their sweep.

    Args:
        results: Results of one or more sweeps.
        options: Arguments of `Results.table`.

    Raises:
        SpecError: If the sweeps select or report by different metrics, or as `Results.table` does.
    """
    tables = [one.table(**options) for one in results]
    return (
        tables[0] if len(tables) == 1 else Table.of(combined(tables, [one.spec for one in results]))
    )
