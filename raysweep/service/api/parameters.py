"""Parameters of queries that several endpoints share, as dependencies."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from raysweep.formats.text import Screen

Labels = Annotated[list[str] | None, Query()]
Width = Annotated[int | None, Query(ge=1, le=100_000, description="Characters of a line of text")]
Encoding = Literal["utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"]


class Filters:
    """Part of a sweep that is shown.

    Args:
        estimators: Labels of the estimators, or methods, to show.
        tasks: Labels of the tasks to show.
        rows: Another name of `estimators`.
        methods: Another name of `estimators`.
        columns: Another name of `tasks`.
        where: SQL condition over the columns of `runs` that runs must meet.
    """

    def __init__(
        self,
        estimators: Labels = None,
        tasks: Labels = None,
        rows: Labels = None,
        methods: Labels = None,
        columns: Labels = None,
        where: str | None = None,
    ) -> None:
        labels = {
            "estimators": estimators,
            "tasks": tasks,
            "rows": rows,
            "methods": methods,
            "columns": columns,
        }
        self.labels = {name: tuple(given or ()) for name, given in labels.items()}
        self.given: dict[str, Any] = {**self.labels, "where": where}


Shown = Annotated[Filters, Depends()]


class Metrics:
    """Metrics of a table.

    Args:
        select: Metric whose mean over seeds selects a configuration.
        report: Metric to show.
    """

    def __init__(self, select: str | None = None, report: str | None = None) -> None:
        self.given: dict[str, Any] = {"select": select, "report": report}


Chosen = Annotated[Metrics, Depends()]


class Style:
    """Style of a table.

    Args:
        spread: Spread beside the mean.
        test: Significance test of differences between rows.
        level: Significance level, after Holm's correction.
        average: Whether to show the average over tasks in any case.
    """

    def __init__(
        self,
        spread: Literal["std", "sem", "ci"] = "std",
        test: Literal["welch", "mann-whitney"] = "welch",
        level: float = 0.05,
        average: bool = False,
    ) -> None:
        self.given: dict[str, Any] = {
            "spread": spread,
            "test": test,
            "level": level,
            "average": average,
        }


Styled = Annotated[Style, Depends()]


class Room:
    """Room for a text in a terminal.

    Args:
        width: Number of characters in a line; any if it is not given.
        encoding: Encoding of the terminal; characters that it lacks become ASCII.
    """

    def __init__(self, width: Width = None, encoding: Encoding = "utf-8") -> None:
        self.screen = Screen(width, encoding)


Roomy = Annotated[Room, Depends()]
