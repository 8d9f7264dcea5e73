"""Sweep of a service: its results as those of `raysweep.Results`, and what can be done with it."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.client.connection import Connection, path_of
from raysweep.client.shown import RemoteFigure, RemoteTable, write
from raysweep.client.watch import follow
from raysweep.errors import ServerError, SpecError
from raysweep.results.output_file import PAGES, check_suffix

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Unpack

    from raysweep.figures.options import Kind, PlotOptions
    from raysweep.results.labels import Filters, TableOptions

OF_STATISTICS = ("text", "markdown", "csv", "json")


class RemoteResults:
    """Sweep of a service: rows, tables, figures and reports, which the service computes.

    Its methods have the names and arguments of those of `raysweep.Results`. Those that change the
    sweep need a token of its owner, or of an admin.

    Args:
        connection: Connection to the service.
        sweep: Name of the sweep.

    Raises:
        SpecError: If no sweep can have this name.
    """

    def __init__(self, connection: Connection, sweep: str) -> None:
        if not sweep or "/" in sweep:
            raise SpecError(
                "expected a sweep's name of at most 64 lower-case letters, digits, '.', '_' and "
                f"'-', got {sweep!r}"
            )
        self.connection, self.sweep = connection, sweep

    @property
    def page(self) -> str:
        """Address of the sweep's page."""
        return f"{self.connection.url}/sweeps/{self.sweep}"

    def runs(self) -> "pa.Table":
        """Return every ended run, one row each, with `in_plan` and `selected`."""
        return self.rows("runs")

    def curves(self) -> "pa.Table":
        """Return the metrics over steps, one row per run and step."""
        return self.rows("curves")

    def attempts(self) -> "pa.Table":
        """Return every failed attempt, one row each."""
        return self.rows("attempts")

    def rows(self, table: str) -> "pa.Table":
        """Return a table of the store.

        Args:
            table: `runs`, `planned`, `curves`, `attempts` or `decisions`.

        Raises:
            SpecError: If there is no such table.
            ServerError: If the service cannot be reached, or the table is too large to send.
        """
        return self._arrow("GET", "runs", {"format": "arrow", "table": table})

    def sql(self, query: str) -> "pa.Table":
        """Return the result of a query in SQL over `runs`, `planned`, `curves` and `attempts`.

        Raises:
            SpecError: If DuckDB refuses the query, or it takes too long for a service.
            ServerError: If the service cannot be reached.
        """
        return self._arrow("POST", "sql", {"format": "arrow"}, query)

    def _arrow(
        self, method: str, part: str, options: Mapping[str, Any], content: str | None = None
    ) -> "pa.Table":
        import pyarrow.ipc as paipc

        answer = self.connection.send(method, self.path(part), options, content=content)
        return paipc.open_stream(io.BytesIO(answer.content)).read_all()

    def table(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        **options: "Unpack[TableOptions]",
    ) -> RemoteTable:
        """Return the result table; for the arguments see `raysweep.Results.table`.

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
            ServerError: If the service cannot be reached.
        """
        given = {"select": select, "report": report, **options}
        return RemoteTable(self.connection, self.path("table"), given)

    def statistics(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        **filters: "Unpack[Filters]",
    ) -> RemoteTable:
        """Return the statistics of each arm and over tasks, as `raysweep stats` prints them."""
        given = {"select": select, "report": report, **filters}
        return RemoteTable(self.connection, self.path("statistics"), given, OF_STATISTICS)

    def top(
        self, n: int = 5, *, metric: str | None = None, **filters: "Unpack[Filters]"
    ) -> RemoteTable:
        """Return the best configurations of each arm; for the arguments see `raysweep.Results.top`.

        Raises:
            SpecError: If `n` is not positive, the sweep has no such metric or label, or no run
                meets the condition.
            ServerError: If the service cannot be reached.
        """
        return RemoteTable(self.connection, self.path("top"), {"n": n, "metric": metric, **filters})

    def importance(
        self, metric: str | None = None, evaluator: str = "ped-anova"
    ) -> list[dict[str, Any]]:
        """Return the importance of each searched setting; see `raysweep.Results.importance`."""
        options = {"metric": metric, "evaluator": evaluator}
        arms: list[dict[str, Any]] = self.connection.data(self.path("importance"), **options)[
            "arms"
        ]
        return arms

    def plot(self, kind: "Kind" = "curves", **options: "Unpack[PlotOptions]") -> RemoteFigure:
        """Return a figure, which notebooks show and its method `save` saves.

        Args:
            kind: Kind of figure.
            options: Options of the figure; for both see `raysweep.Results.plot`.

        Raises:
            SpecError: If an option names something the sweep lacks, or no run to draw has
                finished.
            ServerError: If the service cannot be reached.
        """
        return RemoteFigure(self.connection, self.path("figures", kind), {**options})

    def report(self, path: str | Path | None = None, *, select: str | None = None) -> Path:
        """Write the report to one HTML file that works offline; see `raysweep.Results.report`."""
        file = Path(f"{self.sweep}.html" if path is None else path)
        check_suffix(file, PAGES)
        answer = self.connection.send("GET", self.path("report"), {"select": select})
        write(file, answer.content, field="path")
        return file

    def warnings(self) -> list[str]:
        """Return what a reader must know: defaults and code that changed since runs were stored."""
        lines: list[str] = self.connection.data(self.path("warnings"))
        return lines

    def logs(self, run: str | None = None, *, driver: bool = False, tail: int | None = None) -> str:
        """Return tracebacks of failed runs and what runs printed.

        Args:
            run: Id of a run or a pack, or its beginning; None for the whole sweep.
            driver: Whether to return what the last driver printed instead.
            tail: Number of lines at the end to return; all if None.
        """
        return self.connection.text(self.path("logs"), run=run, driver=driver, tail=tail)

    def status(self) -> dict[str, Any]:
        """Return the progress as plain data.

        Returns:
            `state` (`queued`, `running`, `stopped`, `done` or `failed`), `runs` (numbers of
            planned, done, diverged, stopped and failed ones), `left_s`, `arms`, `packs`,
            `failures`, `problem`, `history` and more, as the service's OpenAPI document says.
        """
        state: dict[str, Any] = self.connection.data(self.path())
        return state

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the progress as it changes, as `status` returns it, until the sweep ends.

        A connection that breaks is opened again, for up to five minutes.

        Raises:
            ServerError: If the service cannot be reached, or the sweep was deleted.
        """
        for _, state in self.connection.events(self.path("events")):
            if not state:
                raise ServerError(f"{self.sweep} was deleted from {self.connection.url}")
            yield state

    def wait(self, *, quiet: bool = True) -> dict[str, Any]:
        """Wait until the sweep no longer runs or waits, and return its progress.

        Args:
            quiet: Whether to hide the progress meanwhile.

        Raises:
            ServerError: If the service cannot be reached, or the sweep was deleted.
        """
        return follow(self.events(), quiet=quiet)

    def cancel(self) -> None:
        """Let the sweep stop, or leave the queue; what it has trained is kept.

        Raises:
            RaysweepError: If it neither runs nor waits.
            ServerError: If the service cannot be reached, or the user may not.
        """
        self._post("cancel")

    def resume(self, *, retry_failed: bool = False) -> None:
        """Let the sweep continue from its checkpoints.

        Args:
            retry_failed: Also retry runs that have failed `resources.max_failures` times.

        Raises:
            LeaseHeld: If it runs or waits already.
            ServerError: If the service cannot be reached, or the user may not.
        """
        self._post("resume", {"retry_failed": retry_failed})

    def extend(self, seeds: int) -> None:
        """Let the sweep continue with more seeds.

        Args:
            seeds: Number of seeds of each configuration, all together.

        Raises:
            SpecError: If it has so many seeds already.
            LeaseHeld: If it runs or waits.
            ServerError: If the service cannot be reached, or the user may not.
        """
        self._post("extend", json={"seeds": seeds})

    def remove(self, *, where: str | None = None) -> None:
        """Delete the sweep with all its results, or some of its runs.

        Args:
            where: SQL condition over the columns of `runs` that the deleted runs meet; None for
                all, with the sweep itself.

        Raises:
            SpecError: If no run meets the condition.
            LeaseHeld: If the sweep runs.
            ServerError: If the service cannot be reached, or the user may not.
        """
        if where is None:
            self.connection.send("DELETE", self.path())
        else:
            self.connection.send("DELETE", self.path("runs"), {"where": where})

    def _post(
        self, action: str, options: Mapping[str, Any] | None = None, json: Any = None
    ) -> None:
        self.connection.send("POST", self.path(action), options, json=json, file=self.sweep)

    def path(self, *parts: str) -> str:
        """Return the path of a part of the sweep below that of the interface."""
        return path_of("sweeps", self.sweep, *parts)

    def __repr__(self) -> str:
        """Return the call that opens these results."""
        return f"raysweep.connect({self.connection.url!r}).open({self.sweep!r})"

    def __str__(self) -> str:
        """Return the result table as text."""
        return str(self.table())

    def _repr_html_(self) -> str:
        """Return the result table as HTML, which notebooks show."""
        return self.table()._repr_html_()
