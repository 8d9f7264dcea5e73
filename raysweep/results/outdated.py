"""Stored rows that have a present run's id with values of a default that has changed since."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import Mask, Places, RunFrame, encoded, numbers
from raysweep.sweep.defaults import Change, Counterparts
from raysweep.sweep.spec import Spec

MAX_STRANGE = 1024  # configurations of a definition without any counterpart, then it is left


@dataclasses.dataclass(frozen=True, eq=False)
class Outdated:
    """Rows that are not the runs which their ids name now.

    Args:
        rows: The rows.
        counts: How many of them, on planned seeds, have the old value of each changed default.
    """

    rows: Mask
    counts: Mapping[Change, int]


def without_outdated(spec: Spec, runs: RunFrame) -> RunFrame:
    """The runs less those that are outdated, which its `outdated` counts."""
    found = outdated(spec, runs)
    kept = runs.keep(~found.rows)
    if kept is not runs:
        kept.outdated = found.counts
    kept.compared_with = spec
    return kept


def outdated(spec: Spec, runs: RunFrame) -> Outdated:
    """The rows with the id of a configuration of the spec and other values than it has.

    Rows of the present definition cannot be among them: id and settings follow from each other. Of
    the others each configuration is looked at once.
    """
    rows = np.zeros(len(runs.codes), bool)
    if runs.compared_with is spec:
        return Outdated(rows, {})
    counts: collections.Counter[Change] = collections.Counter()
    strange = np.flatnonzero(_strange(spec, runs))
    if not len(strange):
        return Outdated(rows, counts)
    planned = np.isin(runs.seeds, [*spec.seeds, *spec.report_seeds])
    variants, firsts = _variants(runs, strange)
    for variant, changes in _changes(spec, runs, strange[firsts]):
        mine = strange[variants == variant]
        rows[mine] = True
        if here := int(planned[mine].sum()):
            counts.update(dict.fromkeys(changes, here))
    return Outdated(rows, counts)


def _strange(spec: Spec, runs: RunFrame) -> Mask:
    """The rows of the spec's tasks and estimators that another definition made."""
    table = runs.table
    if "definition" in table.column_names:
        known = pa.array({arm.definition for arm in spec.arms}, pa.string())
        strange = ~_isin(table["definition"], known)
    else:
        strange = np.ones(table.num_rows, bool)
    if strange.any():
        for column, names in (
            ("task_name", {arm.task for arm in spec.arms}),
            ("estimator_name", {arm.estimator for arm in spec.arms}),
        ):
            strange &= _isin(table[column], pa.array(names, pa.string()))
    return strange


def _isin(column: pa.ChunkedArray, values: pa.Array) -> Mask:
    coded = encoded(column)
    known = np.append(pc.is_in(coded.dictionary, value_set=values).to_numpy(False), False)
    return np.asarray(known[_places(coded)], bool)


def _variants(runs: RunFrame, rows: Places) -> tuple[Places, Places]:
    """Numbers the different settings and definitions of each configuration among these rows.

    Returns:
        The number of each row, and the index among `rows` of the first row of each number.
    """
    columns = runs.table.column_names
    keys = [runs.codes[rows]]
    if "definition" in columns:
        keys.append(_codes(runs.table["definition"], rows))
    variants, firsts = _numbered(keys)
    unknown = keys[1] < 0 if len(keys) > 1 else np.ones(len(rows), bool)
    if not unknown.any():
        return variants, firsts
    # Without a definition nothing tells rows apart but their values.
    for name in columns:
        if name.startswith("param."):
            codes = _codes(runs.table[name], rows)
            if (unknown & (codes != codes[firsts[variants]])).any():
                variants, firsts = _numbered([variants, codes])
    return variants, firsts


def _numbered(keys: list[Places]) -> tuple[Places, Places]:
    """Numbers equal combinations of codes; the first index of each number."""
    combined = keys[0]
    for key in keys[1:]:
        _, combined = np.unique(combined, return_inverse=True)
        combined = combined * (int(key.max(initial=0)) + 2) + key + 1
    _, firsts, numbers = np.unique(combined, return_index=True, return_inverse=True)
    return numbers, firsts


def _codes(column: pa.ChunkedArray, rows: Places) -> Places:
    """The values of some rows as numbers, -1 for null."""
    return _places(encoded(column.take(pa.array(rows))))


def _places(coded: pa.DictionaryArray) -> Places:
    return numbers(coded.indices.fill_null(-1)).astype(np.int64)


def _changes(spec: Spec, runs: RunFrame, firsts: Places) -> Iterator[tuple[int, list[Change]]]:
    """The variants that are outdated, with what changed.

    Where a definition is that of another version, no id has a counterpart: after a thousand
    configurations without any, picked at random, the rest of it is not looked at.
    """
    table = runs.table.take(pa.array(firsts))
    arms = collections.defaultdict(list)
    for arm in spec.arms:
        arms[arm.task, arm.estimator].append(Counterparts(arm))
    names = [table[name].to_pylist() for name in ("task_name", "estimator_name")]
    definitions = (
        table["definition"].to_pylist()
        if "definition" in table.column_names
        else [None] * len(firsts)
    )
    tried: collections.Counter[tuple[str, ...]] = collections.Counter()
    met = set()
    settings = runs.settings_of(firsts)
    for variant in np.random.default_rng(0).permutation(len(firsts)).tolist():
        program = names[0][variant], names[1][variant], definitions[variant]
        if tried[program] >= MAX_STRANGE and program not in met:
            continue
        tried[program] += 1
        configuration_id = runs.ids[runs.codes[firsts[variant]]]
        for counterparts in arms.get(program[:2], ()):
            keys = counterparts.changed(configuration_id, settings[variant], program[2])
            if keys is None:
                continue
            met.add(program)
            if keys:
                yield (
                    variant,
                    [Change.of(counterparts.arm, k, settings[variant][k]) for k in keys],
                )
            break
