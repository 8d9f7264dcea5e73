"""Ended runs of a sweep as columns, and the configurations of each arm among them.

A store may hold a million runs, so no run becomes a Python object of its own.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysweep.results.setting_column import Indices, Mask, SettingColumn, encoded, numbers
from raysweep.store import schema
from raysweep.sweep.defaults import Change
from raysweep.sweep.space import (
    Branches,
    Conditional,
    Domain,
    Fixed,
    cases,
)
from raysweep.sweep.spec import Arm, Spec

Labels = tuple[str, str]  # of a task and an estimator
Numbers = NDArray[np.float64]
NOTHING = pa.Table.from_arrays([pa.nulls(1)], [""]).select([])  # one row without settings
MOST_METRICS = 3  # in memory as arrays of their own
NEEDED = (
    "run_id",
    "status",
    "seed",
    "task_name",
    "estimator_name",
    "configuration_id",
    "definition",
    "code",
)


class RunFrame:
    """Rows of `runs`, and their configurations.

    Methods refer to a configuration by its index in `ids`.

    Args:
        table: Rows with the columns `NEEDED`, settings, and any others that are needed. Stores of
            earlier versions lack `definition` and `code`.
        left_out: Seeds all of whose runs a condition excluded.
        same: Settings with one value in all rows, as one row, instead of columns of the table.
    """

    outdated: Mapping[Change, int]  # number of excluded runs by their former default
    has_row_settings = True  # whether the table has settings, if any
    compared_with: Spec | None = None  # spec for which outdated rows have been removed
    # Arms that a condition leaves to each configuration, by its id; None without such a condition.
    within: Mapping[str, frozenset[Labels]] | None = None

    def __init__(
        self,
        table: pa.Table,
        left_out: frozenset[int] = frozenset(),
        same: pa.Table | None = None,
    ) -> None:
        if table["configuration_id"].null_count:  # rows written by hand, of no known configuration
            table = table.filter(pc.is_valid(table["configuration_id"]))
        self.table, self.left_out, self.outdated = table, left_out, {}
        self.same = NOTHING if same is None else same
        ids = encoded(table["configuration_id"])
        known, codes = ids.dictionary, numbers(ids.indices).astype(np.int64)
        used = np.bincount(codes, minlength=len(known)) > 0
        if not used.all():  # a condition excluded all rows of some configurations
            known, codes = known.filter(pa.array(used)), (np.cumsum(used) - 1)[codes]
        self.ids: list[str] = known.to_pylist()
        self.codes: Indices = codes
        self.seeds: NDArray[np.int64] = table["seed"].to_numpy()

    def keep(self, rows: Mask) -> "RunFrame":
        """Return a frame of these rows alone; the frame itself if they are all of its rows."""
        if rows.all():
            return self
        if not self.has_row_settings:
            raise ValueError("the settings of a part of a frame are those of its rows")
        kept = RunFrame(self.table.filter(pa.array(rows)), self.left_out, self.same)
        kept.within = self.within
        return kept

    @property
    def count(self) -> int:
        """Number of configurations."""
        return len(self.ids)

    @functools.cached_property
    def first(self) -> Indices:
        """The first row of each configuration."""
        first = np.zeros(self.count, np.int64)
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        return first

    @functools.cached_property
    def _order(self) -> tuple[Indices, Indices]:
        """Rows in order of configuration, and the start of each configuration's rows."""
        counts = np.bincount(self.codes, minlength=self.count)
        return np.argsort(self.codes, kind="stable"), np.concatenate([[0], np.cumsum(counts)])

    def rows_of(self, index: int) -> Indices:
        """Return the rows of a configuration, in the table's order."""
        order, starts = self._order
        return order[starts[index] : starts[index + 1]]

    def without_left_out(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Return the seeds of which the condition left some run."""
        return tuple(seed for seed in seeds if seed not in self.left_out)

    def with_status(self, status: str) -> Mask:
        """Return the mask of the rows with this status."""
        known, codes = self._statuses
        return codes == known.index(status) if status in known else np.zeros(len(codes), bool)

    @functools.cached_property
    def _statuses(self) -> tuple[list[str], Indices]:
        statuses = encoded(self.table["status"])
        return statuses.dictionary.to_pylist(), numbers(statuses.indices)

    @functools.cached_property
    def done(self) -> Mask:
        """Mask of the rows with status `done`."""
        return self.with_status("done")

    def metric(self, name: str) -> Numbers:
        """Return a final metric of each row; NaN where a row has none or it is not finite."""
        column = f"metric.{name}"
        if column not in self.table.column_names:
            return np.full(len(self.codes), np.nan)
        if column not in self._metrics:
            while len(self._metrics) >= MOST_METRICS:
                del self._metrics[next(iter(self._metrics))]
            values = np.array(self.table[column].to_numpy(), np.float64)
            values[~np.isfinite(values)] = np.nan
            self._metrics[column] = values
        return self._metrics[column]

    @functools.cached_property
    def _metrics(self) -> dict[str, Numbers]:
        return {}

    def per_configuration(self, rows: Mask) -> Indices:
        """Return the number of these rows in each configuration."""
        return np.bincount(self.codes[rows], minlength=self.count)

    def records(self, rows: Sequence[int] | Indices) -> list[dict[str, Any]]:
        """Return rows as mappings, in the given order, with their decoded `settings`."""
        taken = self.table.take(pa.array(rows, pa.int64())).to_pylist()
        pairs = zip(taken, self.settings_of(rows), strict=True)
        return [{**row, "settings": settings} for row, settings in pairs]

    def settings_of(self, rows: Sequence[int] | Indices) -> list[dict[str, Any]]:
        """Return the decoded settings of rows, in the given order, by `section.name`."""
        indices = np.asarray(rows, np.int64)
        if self.has_row_settings:  # a configuration's runs of former defaults differ in them
            table, same = self.table, self.same
        else:
            table, indices, same = self.configurations, self.codes[indices], NOTHING
        names = [name for name in table.column_names if name.startswith("param.")]
        taken = table.select(names).take(pa.array(indices))
        (shared,) = same.to_pylist() or [{}]
        settings = schema.decode_settings(shared, same.schema)
        if not names:
            return [dict(settings) for _ in rows]
        return [
            {**settings, **schema.decode_settings(row, taken.schema)} for row in taken.to_pylist()
        ]

    def forget_row_settings(self) -> None:
        """Keep settings once for each configuration, not for each row; `keep` is not possible then.

        With a million rows, they are a third of the frame's memory.
        """
        self.has_row_settings = not self.configurations.num_rows
        names = [name for name in self.table.column_names if name.startswith("param.")]
        self.table = self.table.drop_columns(names)

    @functools.cached_property
    def run_ids(self) -> pa.Array:
        """Run ids of all rows, as one array."""
        return self.table["run_id"].combine_chunks()

    @functools.cached_property
    def configurations(self) -> pa.Table:
        """Columns that the runs of a configuration share, one row per configuration."""
        shared = ("task_name", "estimator_name", "definition")
        names = [
            name for name in self.table.column_names if name in shared or name.startswith("param.")
        ]
        rows = self.table.select(names).take(pa.array(self.first))
        for field, column in zip(self.same.schema, self.same.columns, strict=True):
            rows = rows.append_column(field, pa.repeat(column[0], self.count))
        return rows.unify_dictionaries().combine_chunks()

    def settings(self, index: int, keys: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the settings of a configuration by `section.name`: these keys, or all."""
        table = self.configurations
        if keys is None:
            names = [name for name in table.column_names if name.startswith("param.")]
        else:
            names = [f"param.{key}" for key in keys]
        columns = table.select(names)
        return schema.decode_settings(columns.slice(index, 1).to_pylist()[0], columns.schema)

    def setting(self, key: str) -> SettingColumn | None:
        """Return a setting of every configuration, as stored; None if no run has stored it."""
        if key not in self._settings:
            name, table = f"param.{key}", self.configurations
            is_stored = name in table.column_names
            self._settings[key] = (
                SettingColumn(_one_chunk(table[name]), is_json=schema.is_json(table.field(name)))
                if is_stored
                else None
            )
        return self._settings[key]

    @functools.cached_property
    def _settings(self) -> dict[str, SettingColumn | None]:
        return {}

    def has_definition(self, indices: Indices, definition: str) -> Mask:
        """Return the mask of those of these configurations that have a definition."""
        known, codes = self._definitions
        return codes[indices] == known.index(definition) if definition in known else indices < 0

    @functools.cached_property
    def _definitions(self) -> tuple[list[str | None], NDArray[np.integer[Any]]]:
        if "definition" not in self.configurations.column_names:
            return [None], np.zeros(self.count, np.int64)
        return SettingColumn(_one_chunk(self.configurations["definition"]), is_json=False).distinct

    def definition(self, index: int) -> str | None:
        """Return the definition of a configuration; None in rows of an earlier version."""
        if "definition" not in self.configurations.column_names:
            return None
        return self.configurations["definition"][index].as_py()

    def of(self, arm: Arm) -> Indices:
        """Return the indices of the configurations in an arm's space, ascending."""
        if arm not in self._by_arm:
            program = self._programs.get((arm.task, arm.estimator))
            indices = np.zeros(0, np.int64) if program is None else program.of(arm)
            if self.within is not None:
                labels, ids = (arm.task_label, arm.estimator_label), self.ids
                kept = [i for i in indices.tolist() if labels in self.within.get(ids[i], ())]
                indices = np.array(kept, np.int64)
            self._by_arm[arm] = indices
        return self._by_arm[arm]

    @functools.cached_property
    def _by_arm(self) -> dict[Arm, Indices]:
        return {}

    @functools.cached_property
    def _programs(self) -> dict[tuple[str, str], "_Program"]:
        names = ("task_name", "estimator_name")
        tasks, estimators = (encoded(self.configurations[name]) for name in names)
        pair = numbers(tasks.indices).astype(np.int64) * len(estimators.dictionary)
        pair += numbers(estimators.indices)
        programs = {}
        for code in np.unique(pair).tolist():
            task, estimator = divmod(code, len(estimators.dictionary))
            key = tasks.dictionary[task].as_py(), estimators.dictionary[estimator].as_py()
            programs[key] = _Program(self, np.flatnonzero(pair == code))
        return programs


class _Program:
    """The configurations of one task with one estimator, over all arms.

    Args:
        runs: All ended runs.
        indices: Indices of the configurations.
    """

    def __init__(self, runs: RunFrame, indices: Indices) -> None:
        self.runs, self.indices = runs, indices
        self._columns: dict[str, SettingColumn] = {}
        self._known: dict[str | None, list[dict[str, Any]]] = {}

    @functools.cached_property
    def _definitions(self) -> dict[str | None, Mask]:
        """Mask of the configurations of each definition."""
        if "definition" not in self.runs.configurations.column_names:
            return {None: np.ones(len(self.indices), bool)}
        stored, codes = SettingColumn(self._taken("definition"), is_json=False).distinct
        return {definition: codes == code for code, definition in enumerate(stored)}

    def of(self, arm: Arm) -> Indices:
        """Return the configurations in the arm's space.

        With the arm's own definition it is enough that the settings are in the space, since the id
        follows from both. For other definitions the id is computed anew, one by one.
        """
        in_arm = np.zeros(len(self.indices), bool)
        for definition, members in self._definitions.items():
            if definition == arm.definition:
                in_arm |= members & self._in_space(arm)
            else:
                for position, settings in zip(
                    np.flatnonzero(members).tolist(), self._settings(definition), strict=True
                ):
                    configuration_id = self.runs.ids[int(self.indices[position])]
                    in_arm[position] = arm.locate(configuration_id, settings) is not None
        return self.indices[in_arm]

    def _settings(self, definition: str | None) -> list[dict[str, Any]]:
        """Return the settings of a definition's configurations, cached since every arm asks."""
        if definition not in self._known:
            members = self.indices[self._definitions[definition]]
            self._known[definition] = self.runs.settings_of(self.runs.first[members])
        return self._known[definition]

    def _in_space(self, arm: Arm) -> Mask:
        inside = np.ones(len(self.indices), bool)
        for key, domain in arm.space.items():
            allowed = self._inside(key, domain)
            if allowed.ndim:
                inside &= allowed
            elif not allowed:
                return np.zeros(len(self.indices), bool)
        return inside

    def _inside(self, key: str, domain: Domain) -> Mask:
        """Return the mask of the configurations with a value in the domain; a scalar for all."""
        column = self._column(key)
        if not isinstance(domain, Conditional | Branches):
            return column.inside(domain)
        mask = column.inside(Fixed(domain.otherwise))
        for case in reversed(cases(domain)):  # the first that holds applies
            applies = np.ones(len(self.indices), bool)
            for other, wanted in case.when.items():
                applies = applies & self._column(other).among(wanted)
            mask = np.where(applies, column.inside(case.domain), mask)
        return mask

    def _column(self, key: str) -> "SettingColumn":
        if key not in self._columns:
            name = f"param.{key}"
            table = self.runs.configurations
            if name in table.column_names:
                is_json = schema.is_json(table.schema.field(name))
                self._columns[key] = SettingColumn(self._taken(name), is_json=is_json)
            else:
                self._columns[key] = SettingColumn(pa.nulls(len(self.indices)), is_json=False)
        return self._columns[key]

    def _taken(self, name: str) -> pa.Array:
        return _one_chunk(self.runs.configurations[name].take(pa.array(self.indices)))


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
