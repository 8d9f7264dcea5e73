"""Outdated rows: rows that have the id of a planned run, but a former default of a setting."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import RunFrame
from raysweep.results.setting_column import Indices, Mask, encoded, numbers
from raysweep.sweep.defaults import Change, Counterparts
from raysweep.sweep.spec import Spec

MAX_STRANGE = 1024  # configurations without a counterpart, after which a definition is skipped


@dataclasses.dataclass(frozen=True, eq=False)
class Outdated:
    """Rows whose ids now name other runs.

    Args:
        rows: Mask of the outdated rows.
        counts: Number of these rows on planned seeds, for each changed default.
    """

    rows: Mask
    counts: Mapping[Change, int]


def without_outdated(spec: Spec, runs: RunFrame) -> RunFrame:
    """Return the runs without outdated rows, which the result's `outdated` counts."""
    result = outdated(spec, runs)
    kept = runs.keep(~result.rows)
    if kept is not runs:
        kept.outdated = result.counts
    kept.compared_with = spec
    return kept


def outdated(spec: Spec, runs: RunFrame) -> Outdated:
    """Return the rows that have the id of a configuration of the spec, but other values.

    Rows of the present definition are never outdated, since id and settings determine each other.
    Of the other rows, each configuration is checked once.
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
        changed = strange[variants == variant]
        rows[changed] = True
        if count := int(planned[changed].sum()):
            counts.update(dict.fromkeys(changes, count))
    return Outdated(rows, counts)


def _strange(spec: Spec, runs: RunFrame) -> Mask:
    """Return the mask of the spec's tasks and estimators under another definition."""
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
    return np.asarray(known[_filled(coded)], bool)


def _variants(runs: RunFrame, rows: Indices) -> tuple[Indices, Indices]:
    """Number the distinct settings and definitions of each configuration among these rows.

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
    # Without a definition, rows differ by their values alone.
    for name in columns:
        if name.startswith("param."):
            codes = _codes(runs.table[name], rows)
            if (unknown & (codes != codes[firsts[variants]])).any():
                variants, firsts = _numbered([variants, codes])
    return variants, firsts


def _numbered(keys: list[Indices]) -> tuple[Indices, Indices]:
    """Number equal combinations of codes; return the numbers and the first index of each."""
    combined = keys[0]
    for key in keys[1:]:
        _, combined = np.unique(combined, return_inverse=True)
        combined = combined * (int(key.max(initial=0)) + 2) + key + 1
    _, firsts, numbers = np.unique(combined, return_index=True, return_inverse=True)
    return numbers, firsts


def _codes(column: pa.ChunkedArray, rows: Indices) -> Indices:
    """Return the codes of some rows' values, -1 for null."""
    return _filled(encoded(column.take(pa.array(rows))))


def _filled(coded: pa.DictionaryArray) -> Indices:
    """Return the codes of a column, -1 for null."""
    return numbers(coded.indices.fill_null(-1)).astype(np.int64)


def _changes(spec: Spec, runs: RunFrame, firsts: Indices) -> Iterator[tuple[int, list[Change]]]:
    """Yield the outdated variants, with their changes.

    If a definition is that of another version, none of its ids has a counterpart: after about a
    thousand configurations without one, in random order, the rest of the definition is skipped.
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
    matched = set()
    settings = runs.settings_of(firsts)
    for variant in np.random.default_rng(0).permutation(len(firsts)).tolist():
        program = names[0][variant], names[1][variant], definitions[variant]
        if tried[program] >= MAX_STRANGE and program not in matched:
            continue
        tried[program] += 1
        configuration_id = runs.ids[runs.codes[firsts[variant]]]
        for counterparts in arms.get(program[:2], ()):
            keys = counterparts.changed(configuration_id, settings[variant], program[2])
            if keys is None:
                continue
            matched.add(program)
            if keys:
                yield (
                    variant,
                    [Change.of(counterparts.arm, k, settings[variant][k]) for k in keys],
                )
            break
