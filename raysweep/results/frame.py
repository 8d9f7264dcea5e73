"""Ended runs of a sweep, column by column, and which of their configurations are an arm's.

A store may hold a million runs: nothing here makes an object of each.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysweep.store import schema
from raysweep.sweep.defaults import Change
from raysweep.sweep.runs import canonical_json
from raysweep.sweep.space import Conditional, Domain, Fixed, Plain, Range, Value, plain, same
from raysweep.sweep.spec import Arm, Spec

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]
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
    """Rows of `runs`, and the configurations that they are of.

    Args:
        table: With the columns `NEEDED`, settings, and what else will be asked for. Stores of
            earlier versions lack `definition` and `code`.
        left_out: Seeds of which a condition left no run.
        same: Settings that every row has, in one row, instead of columns of the table.
    """

    outdated: Mapping[Change, int]  # defaults that runs, which are not among these, had
    compared_with: Spec | None = None  # whose former defaults no row has

    def __init__(
        self,
        table: pa.Table,
        left_out: frozenset[int] = frozenset(),
        same: pa.Table | None = None,
    ) -> None:
        if table["configuration_id"].null_count:  # written by hand: nothing can be known of them
            table = table.filter(pc.is_valid(table["configuration_id"]))
        self.table, self.left_out, self.outdated = table, left_out, {}
        self.same = pa.table({"": [0]}).select([]) if same is None else same
        ids = encoded(table["configuration_id"])
        known, codes = ids.dictionary, numbers(ids.indices).astype(np.int64)
        used = np.bincount(codes, minlength=len(known)) > 0
        if not used.all():  # a condition left out all rows of some
            known, codes = known.filter(pa.array(used)), (np.cumsum(used) - 1)[codes]
        self.ids: list[str] = known.to_pylist()
        self.codes: Places = codes
        self.seeds: NDArray[np.int64] = table["seed"].to_numpy()

    def keep(self, rows: Mask) -> "RunFrame":
        """These rows alone; the same object where they are all."""
        if rows.all():
            return self
        return RunFrame(self.table.filter(pa.array(rows)), self.left_out, self.same)

    @property
    def count(self) -> int:
        """How many configurations there are."""
        return len(self.ids)

    @functools.cached_property
    def first(self) -> Places:
        """The first row of each configuration."""
        found = np.zeros(self.count, np.int64)
        found[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        return found

    @functools.cached_property
    def _order(self) -> tuple[Places, Places]:
        """Rows by configuration, and where each one's begin."""
        counts = np.bincount(self.codes, minlength=self.count)
        return np.argsort(self.codes, kind="stable"), np.concatenate([[0], np.cumsum(counts)])

    def rows_of(self, place: int) -> Places:
        """The rows of a configuration, in the table's order."""
        order, starts = self._order
        return order[starts[place] : starts[place + 1]]

    def without_left_out(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Those of the seeds that no condition left out."""
        return tuple(seed for seed in seeds if seed not in self.left_out)

    def with_status(self, status: str) -> Mask:
        """The rows that ended so."""
        known, places = self._statuses
        return places == known.index(status) if status in known else np.zeros(len(places), bool)

    @functools.cached_property
    def _statuses(self) -> tuple[list[str], Places]:
        found = encoded(self.table["status"])
        return found.dictionary.to_pylist(), numbers(found.indices)

    @functools.cached_property
    def done(self) -> Mask:
        """The rows that ended well."""
        return self.with_status("done")

    def metric(self, name: str) -> Numbers:
        """A final metric, row by row; NaN where there is none."""
        column = f"metric.{name}"
        if column not in self.table.column_names:
            return np.full(len(self.codes), np.nan)
        if column not in self._metrics:
            found = np.array(self.table[column].to_numpy(), np.float64)
            self._metrics[column] = np.where(np.isfinite(found), found, np.nan)
        return self._metrics[column]

    @functools.cached_property
    def _metrics(self) -> dict[str, Numbers]:
        return {}

    def per_configuration(self, rows: Mask) -> Places:
        """How many of these rows each configuration has."""
        return np.bincount(self.codes[rows], minlength=self.count)

    def records(self, rows: Sequence[int] | Places) -> list[dict[str, Any]]:
        """Rows as mappings, in that order, each with its decoded `settings`."""
        found = self.table.take(pa.array(rows, pa.int64())).to_pylist()
        settings = self.settings_of(rows)
        return [{**row, "settings": own} for row, own in zip(found, settings, strict=True)]

    def settings_of(self, rows: Sequence[int] | Places) -> list[dict[str, Any]]:
        """The decoded settings of rows, in that order, by `section.name`."""
        names = [name for name in self.table.column_names if name.startswith("param.")]
        found = self.table.select(names).take(pa.array(rows, pa.int64()))
        (same,) = self.same.to_pylist() or [{}]
        settings = schema.decode_settings(same, self.same.schema)
        if not names:
            return [dict(settings) for _ in rows]
        return [
            {**settings, **schema.decode_settings(row, found.schema)} for row in found.to_pylist()
        ]

    @functools.cached_property
    def run_ids(self) -> pa.Array:
        """Of every row, in one piece."""
        return self.table["run_id"].combine_chunks()

    @functools.cached_property
    def configurations(self) -> pa.Table:
        """The first row of each configuration: what its runs share."""
        shared = ("task_name", "estimator_name", "definition")
        names = [
            name for name in self.table.column_names if name in shared or name.startswith("param.")
        ]
        found = self.table.select(names).take(pa.array(self.first))
        for field, column in zip(self.same.schema, self.same.columns, strict=True):
            found = found.append_column(field, pa.repeat(column[0], self.count))
        return found.unify_dictionaries().combine_chunks()

    def settings(self, place: int, keys: Iterable[str] | None = None) -> dict[str, Any]:
        """A configuration's settings, by `section.name`: these, or all."""
        table = self.configurations
        if keys is None:
            names = [name for name in table.column_names if name.startswith("param.")]
        else:
            names = [f"param.{key}" for key in keys]
        columns = table.select(names)
        return schema.decode_settings(columns.slice(place, 1).to_pylist()[0], columns.schema)

    def definition(self, place: int) -> str | None:
        """Of a configuration's task and estimator; None where an earlier version wrote it."""
        if "definition" not in self.configurations.column_names:
            return None
        return self.configurations["definition"][place].as_py()

    def of(self, arm: Arm) -> Places:
        """The configurations that are points of an arm, by place, in the order of appearance."""
        if arm not in self._held:
            found = self._programs.get((arm.task, arm.estimator))
            held = found.held_by(arm) if found is not None else np.zeros(0, np.int64)
            self._held[arm] = held
        return self._held[arm]

    @functools.cached_property
    def _held(self) -> dict[Arm, Places]:
        return {}

    @functools.cached_property
    def _programs(self) -> dict[tuple[str, str], "_Program"]:
        names = ("task_name", "estimator_name")
        tasks, estimators = (encoded(self.configurations[name]) for name in names)
        pair = numbers(tasks.indices).astype(np.int64) * len(estimators.dictionary)
        pair += numbers(estimators.indices)
        found = {}
        for code in np.unique(pair).tolist():
            task, estimator = divmod(code, len(estimators.dictionary))
            names_of = tasks.dictionary[task].as_py(), estimators.dictionary[estimator].as_py()
            found[names_of] = _Program(self, np.flatnonzero(pair == code))
        return found


class _Program:
    """The configurations of one task with one estimator, whatever the arms.

    Args:
        runs: All runs.
        places: Its configurations.
    """

    def __init__(self, runs: RunFrame, places: Places) -> None:
        self.runs, self.places = runs, places
        self._columns: dict[str, _Column] = {}
        self._known: dict[str | None, list[dict[str, Any]]] = {}

    @functools.cached_property
    def _definitions(self) -> dict[str | None, Mask]:
        """The configurations of each definition."""
        if "definition" not in self.runs.configurations.column_names:
            return {None: np.ones(len(self.places), bool)}
        stored, codes = _Column(self._taken("definition"), is_json=False).distinct
        return {each: codes == code for code, each in enumerate(stored)}

    def held_by(self, arm: Arm) -> Places:
        """The configurations that are points of the arm.

        Where the definition is the arm's own, settings inside its space are proof: the id follows
        from both. Elsewhere the id is worked out anew, one by one.
        """
        held = np.zeros(len(self.places), bool)
        for definition, own in self._definitions.items():
            if definition == arm.definition:
                held |= own & self._in_space(arm)
            else:
                for at, settings in zip(
                    np.flatnonzero(own).tolist(), self._settings(definition), strict=True
                ):
                    place = int(self.places[at])
                    held[at] = arm.locate(self.runs.ids[place], settings) is not None
        return self.places[held]

    def _settings(self, definition: str | None) -> list[dict[str, Any]]:
        """The settings of the configurations of a definition, which every arm asks for."""
        if definition not in self._known:
            own = self.places[self._definitions[definition]]
            self._known[definition] = self.runs.settings_of(self.runs.first[own])
        return self._known[definition]

    def _in_space(self, arm: Arm) -> Mask:
        inside = np.ones(len(self.places), bool)
        for key, domain in arm.space.items():
            found = self._inside(key, domain)
            if found.ndim:
                inside &= found
            elif not found:
                return np.zeros(len(self.places), bool)
        return inside

    def _inside(self, key: str, domain: Domain) -> Mask:
        """Which configurations have a value of the domain; one answer where it holds for all."""
        inside = self._column(key).inside(plain(domain))
        if not isinstance(domain, Conditional):
            return inside
        applies = np.ones(len(self.places), bool)
        for other, wanted in domain.when.items():
            applies = applies & self._column(other).among(wanted)
        return np.where(applies, inside, self._column(key).inside(Fixed(domain.otherwise)))

    def _column(self, key: str) -> "_Column":
        if key not in self._columns:
            name = f"param.{key}"
            table = self.runs.configurations
            if name in table.column_names:
                is_json = schema.is_json(table.schema.field(name))
                self._columns[key] = _Column(self._taken(name), is_json=is_json)
            else:
                self._columns[key] = _Column(pa.nulls(len(self.places)), is_json=False)
        return self._columns[key]

    def _taken(self, name: str) -> pa.Array:
        taken = self.runs.configurations[name].take(pa.array(self.places))
        return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


class _Column:
    """One setting of many configurations.

    Args:
        values: As stored.
        is_json: Whether they are JSON text.
    """

    def __init__(self, values: pa.Array, *, is_json: bool) -> None:
        self.values, self.is_json = values, is_json

    @functools.cached_property
    def distinct(self) -> tuple[list[Value], Places]:
        """Each value once, decoded, and which of them every configuration has."""
        values = self.values
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode(null_encoding="encode")
        known = values.dictionary.to_pylist()
        codes = numbers(values.indices.fill_null(len(known))).astype(np.int64)
        used = np.flatnonzero(np.bincount(codes, minlength=len(known) + 1))
        places = np.zeros(len(known) + 1, np.int64)
        places[used] = np.arange(len(used))
        stored = [None if code == len(known) else known[code] for code in used.tolist()]
        return [schema.decode_json(each) if self.is_json else each for each in stored], places[
            codes
        ]

    def inside(self, domain: Plain) -> Mask:
        """Where the value is one of the domain's."""
        if isinstance(domain, Range) and pa.types.is_floating(self.values.type):
            numbers = np.array(self.values.to_numpy(zero_copy_only=False), np.float64)
            inside = (domain.low <= numbers) & (numbers <= domain.high)
            return inside & (numbers == np.floor(numbers)) if domain.whole else inside
        stored, places = self.distinct
        holds = [domain.contains(each) for each in stored]
        if isinstance(domain, Fixed):  # a point has this value itself: `1.0` is not `1` in its id
            own = canonical_json(domain.value)
            holds = [
                held and canonical_json(each) == own
                for held, each in zip(holds, stored, strict=True)
            ]
        return _spread(holds, places)

    def among(self, wanted: Sequence[Value]) -> Mask:
        """Where the value is one of these."""
        stored, places = self.distinct
        return _spread([any(same(each, own) for own in wanted) for each in stored], places)


def _spread(holds: Sequence[bool], places: Places) -> Mask:
    """What holds of each distinct value, for every configuration; one for all, where it is one."""
    return np.array(holds[0] if len(set(holds)) == 1 else np.array(holds, bool)[places])


def encoded(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """A column of text as codes into one dictionary."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.unify_dictionaries().combine_chunks()


def numbers(column: pa.Array) -> NDArray[Any]:
    """A column without nulls as an array."""
    return column.to_numpy(zero_copy_only=False)
