"""Results that show themselves: as text where they are printed, as HTML in a notebook."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from raysweep.formats.grid import Grid
from raysweep.formats.markup import as_notebook
from raysweep.formats.statistics import grids as statistics_grids
from raysweep.formats.status import list_grid
from raysweep.formats.table_formats import render
from raysweep.formats.tables import grids
from raysweep.formats.text import as_text
from raysweep.formats.top import render_top, top_grid
from raysweep.results.aggregates import Statistics
from raysweep.results.status import ListedSweep
from raysweep.results.table import ResultTable
from raysweep.results.top import TopConfigurations


class Shown:
    """Data that are shown as tables."""

    def _grids(self) -> Sequence[Grid]:
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the tables as aligned text."""
        return as_text(self._grids()).removesuffix("\n")

    def _repr_html_(self) -> str:
        """Return the tables as HTML, which notebooks show."""
        return as_notebook(self._grids())


def _fields(data: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as they are."""
    return {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}


class Table(Shown, ResultTable):
    """A result table that shows itself, and can be rendered."""

    @classmethod
    def of(cls, table: ResultTable) -> "Table":
        """Return the same table as one that shows itself."""
        return cls(**_fields(table))

    def render(self, format: str) -> str:
        """Return the table as `text`, `markdown`, `latex`, `html`, `csv` or `json`."""
        return render(self, format)

    def _grids(self) -> Sequence[Grid]:
        return grids(self)


class ShownStatistics(Shown, Statistics):
    """Statistics that show themselves, as `raysweep stats` prints them."""

    @classmethod
    def of(cls, statistics: Statistics) -> "ShownStatistics":
        """Return the same statistics as ones that show themselves."""
        return cls(**_fields(statistics))

    def _grids(self) -> Sequence[Grid]:
        return statistics_grids(self, ())


class Top(Shown, TopConfigurations):
    """The best configurations of each arm, which show themselves and can be rendered."""

    @classmethod
    def of(cls, top: TopConfigurations) -> "Top":
        """Return the same configurations as ones that show themselves."""
        return cls(**_fields(top))

    def render(self, format: str) -> str:
        """Return the list as `text`, `markdown`, `latex`, `html`, `csv` or `json`."""
        return render_top(self, format)

    def _grids(self) -> Sequence[Grid]:
        return [top_grid(self)]


class Sweeps(Shown, tuple[ListedSweep, ...]):
    """The sweeps of a store, which show themselves.

    Args:
        sweeps: The sweeps of the store, by name.
    """

    __slots__ = ()

    def __new__(cls, sweeps: Iterable[ListedSweep]) -> "Sweeps":
        """Return the sweeps as a tuple."""
        return super().__new__(cls, tuple(sweeps))

    def _grids(self) -> Sequence[Grid]:
        return [list_grid(self)]
