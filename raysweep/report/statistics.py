"""Section of statistics: of each arm, and over tasks, as in `raysweep stats`."""

from raysweep.formats.statistics import grids
from raysweep.report.parts import Views
from raysweep.report.tables import Tables
from raysweep.results.aggregates import statistics_of


def statistics_section(tables: Tables) -> Views:
    """Return, for every metric, the statistics of each arm and over tasks."""
    views = {
        str(index): tuple(grids(statistics_of(table), ()))
        for index, table in enumerate(tables.by_metric.values())
    }
    return Views((tables.control("statistics-metric"),), views)
