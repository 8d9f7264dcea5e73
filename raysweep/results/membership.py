"""The arms of the present sweep file that stored runs belong to, and which runs it plans.

A row of `runs` has the labels of the file that it was trained with. The file may since have other
labels for the same settings, so readers show the present ones.

The file plans the configurations of its arms on the seeds of the search, and of each arm the one
configuration that the table shows on the fresh seeds. A run on a fresh seed of a configuration
that was selected earlier is not planned any more.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysweep.results.frame import RunFrame
from raysweep.results.outdated import outdated
from raysweep.results.selection import selections
from raysweep.results.setting_column import Indices, Mask
from raysweep.sweep.spec import Arm, Spec

KEYS = ("run_id", "configuration_id", "seed")  # columns that identify a run and its arms
LABELS = ("task", "estimator")
ADDED = ("in_plan", "selected")


@dataclasses.dataclass(frozen=True, eq=False)
class Membership:
    """The arms of each stored configuration.

    Args:
        members: A row for each arm of each configuration, ordered by configuration and then by
            arm: `configuration_id`, `task`, `estimator` and `selected`.
        labels: A row for each configuration that is in some arm, with the same columns. Where
            several arms have it, the labels are the stored ones if these are among them, else
            those of the first arm in the file.
        seeds: Seeds of the search.
        fresh: Fresh seeds, which the file plans for the selected configuration of each arm.
        outdated: Ids of the runs with former defaults, which belong to no arm.
    """

    members: pa.Table
    labels: pa.Table
    seeds: pa.Array
    fresh: pa.Array
    outdated: pa.Array

    @property
    def shown(self) -> pa.Array:
        """Seeds whose results the table shows: the fresh ones, if there are any."""
        return self.fresh if len(self.fresh) else self.seeds

    def labelled(self, rows: pa.Table) -> pa.Table:
        """Return rows of `runs` with the present labels, and the columns `ADDED`."""
        if not rows.num_rows:
            return _added(rows, pa.array([], pa.bool_()), pa.array([], pa.bool_()))
        known = self._known(rows)
        index = pa.array(known, mask=known < 0)
        for name in LABELS:
            present = self.labels[name].take(index)
            column = pc.coalesce(present, rows[name].cast(pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        selected = pc.fill_null(self.labels["selected"].take(index), False).combine_chunks()
        searched, fresh = self._searched_and_fresh(rows)
        planned = (known >= 0) & (searched | (fresh & selected.to_numpy(zero_copy_only=False)))
        marked = pc.and_(pa.array(planned), selected)
        return _added(rows, pa.array(planned), pc.and_(marked, self._is_shown(rows)))

    def planned(self, rows: pa.Table) -> pa.Table:
        """Return the planned ones of these rows of `runs`, one row for each arm that plans it."""
        known = self._known(rows)
        kept = np.flatnonzero(known >= 0)
        known = known[kept]
        counts, starts = self._arms_of_each
        repeats = counts[known]
        within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        index = np.repeat(starts[known], repeats) + within
        kept = np.repeat(kept, repeats)
        searched, fresh = self._searched_and_fresh(rows)
        is_selected = self.members["selected"].to_numpy()[index]
        planned = np.flatnonzero(searched[kept] | (fresh[kept] & is_selected))
        rows = rows.take(pa.array(kept[planned], pa.int64()))
        arms = self.members.take(pa.array(index[planned], pa.int64()))
        for name in LABELS:
            rows = rows.set_column(rows.schema.get_field_index(name), name, arms[name])
        selected = pc.and_(arms["selected"].combine_chunks(), self._is_shown(rows))
        return _added(rows, pa.repeat(pa.scalar(True), rows.num_rows), selected)

    def _searched_and_fresh(self, rows: pa.Table) -> tuple[Mask, Mask]:
        """Return the masks of the rows on seeds of the search, and on fresh seeds."""
        seeds = rows["seed"]
        searched, fresh = (pc.is_in(seeds, some).to_numpy() for some in (self.seeds, self.fresh))
        return np.asarray(searched, bool), np.asarray(fresh, bool)

    def _is_shown(self, rows: pa.Table) -> pa.Array:
        return pc.is_in(rows["seed"], self.shown).combine_chunks()

    def _known(self, rows: pa.Table) -> Indices:
        """Return the index in `labels` of the configuration of each row, -1 for none."""
        ids = self.labels["configuration_id"].combine_chunks()
        known = pc.fill_null(pc.index_in(rows["configuration_id"].cast(pa.string()), ids), -1)
        index = np.array(known.to_numpy(), np.int64)
        if len(self.outdated):
            index[pc.is_in(rows["run_id"], self.outdated).to_numpy()] = -1
        return index

    @functools.cached_property
    def _arms_of_each(self) -> tuple[Indices, Indices]:
        """Number of arms of each row of `labels`, and the first of them in `members`."""
        ids = self.labels["configuration_id"].combine_chunks()
        owners = pc.index_in(self.members["configuration_id"], ids).to_numpy()
        counts = np.bincount(owners, minlength=len(ids))
        return counts, np.cumsum(counts) - counts


def membership(spec: Spec, runs: RunFrame, *, selected: bool = True) -> Membership:
    """Return the arms of the present file for stored configurations.

    Args:
        spec: The sweep file as it is now.
        runs: Every ended run, with the columns `LABELS`, and the metric that selects if needed.
        selected: Whether to find the selected configurations; otherwise none is marked.
    """
    return membership_with(spec, runs, shown_configurations(spec, runs) if selected else {})


def membership_with(spec: Spec, runs: RunFrame, shown: Mapping[Arm, str]) -> Membership:
    """Return the arms of configurations; see `membership`.

    Args:
        spec: The sweep file as it is now.
        runs: Runs, ended or not, with the columns `LABELS`.
        shown: Id of the configuration that each arm's cell shows.
    """
    old = outdated(spec, runs).rows
    kept = runs.keep(~old)
    parts = [kept.of(arm) for arm in spec.arms]
    sizes = [len(part) for part in parts]
    arms = np.repeat(np.arange(len(parts)), sizes)
    indices = np.concatenate([np.zeros(0, np.int64), *parts])
    order = np.argsort(indices, kind="stable")
    indices, arms = indices[order], arms[order]
    known = {configuration_id: index for index, configuration_id in enumerate(kept.ids)}
    chosen = np.array([known.get(shown.get(arm, ""), -1) for arm in spec.arms])
    marked = chosen[arms] == indices
    members = _table(spec, kept, indices, arms, marked)
    first = np.flatnonzero(np.diff(indices, prepend=-1))
    several = np.diff(first, append=len(indices)) > 1
    marked = np.logical_or.reduceat(marked, first) if len(first) else marked[:0]
    for position in np.flatnonzero(several).tolist():
        first[position] = _stored(kept, members, first[position], indices)
    labels = _table(spec, kept, indices[first], arms[first], marked)
    seeds, fresh = (pa.array(list(some), pa.int64()) for some in (spec.seeds, spec.report_seeds))
    return Membership(members, labels, seeds, fresh, runs.run_ids.filter(pa.array(old)))


def shown_configurations(spec: Spec, runs: RunFrame) -> dict[Arm, str]:
    """Return the id of the configuration that each arm's cell shows, for arms that have one.

    Args:
        spec: The sweep file as it is now.
        runs: Every ended run, with the metric that selects.
    """
    metric = spec.select.metric
    shown = selections(spec, _present(spec, runs), metric, spec.metrics[metric]["direction"])
    return {one.arm: one.chosen.configuration_id for one in shown if one.chosen is not None}


def planned_rows(spec: Spec, runs: RunFrame) -> Mask:
    """Return the mask of the runs that the sweep file plans.

    Args:
        spec: The sweep file as it is now.
        runs: Every ended run, with the metric that selects if there are fresh seeds.
    """
    planned = in_arms(spec, runs)
    searched, fresh = np.isin(runs.seeds, spec.seeds), np.isin(runs.seeds, spec.report_seeds)
    if fresh.any():
        shown = set(shown_configurations(spec, runs).values())
        fresh &= np.array([key in shown for key in runs.ids], bool)[runs.codes]
    return planned & (searched | fresh)


def in_arms(spec: Spec, runs: RunFrame) -> Mask:
    """Return the mask of the runs whose configurations are in the spaces of arms, on any seed."""
    present = ~outdated(spec, runs).rows
    kept = runs.keep(present)
    in_arm = np.zeros(kept.count, bool)
    for arm in spec.arms:
        in_arm[kept.of(arm)] = True
    present[present] = in_arm[kept.codes]
    return present


def _present(spec: Spec, runs: RunFrame) -> RunFrame:
    """Return the runs without those of former defaults."""
    return runs.keep(~outdated(spec, runs).rows)


def _stored(runs: RunFrame, members: pa.Table, start: int, indices: Indices) -> int:
    """Return the arm of a configuration with its stored labels, else its first arm."""
    row = int(runs.first[indices[start]])
    stored = [runs.table[name][row].as_py() for name in LABELS]
    end = start
    while end < len(indices) and indices[end] == indices[start]:
        if [members[name][end].as_py() for name in LABELS] == stored:
            return end
        end += 1
    return start


def _table(
    spec: Spec, runs: RunFrame, indices: Indices, arms: Indices, selected: NDArray[np.bool_]
) -> pa.Table:
    tasks = pa.array([arm.task_label for arm in spec.arms], pa.string())
    estimators = pa.array([arm.estimator_label for arm in spec.arms], pa.string())
    ids = pa.array(runs.ids, pa.string())
    return pa.table(
        {
            "configuration_id": ids.take(pa.array(indices, pa.int64())),
            "task": tasks.take(pa.array(arms, pa.int64())),
            "estimator": estimators.take(pa.array(arms, pa.int64())),
            "selected": pa.array(selected, pa.bool_()),
        }
    )


def _added(rows: pa.Table, planned: pa.Array, selected: pa.Array) -> pa.Table:
    for name, column in zip(ADDED, (planned, selected), strict=True):
        rows = rows.append_column(pa.field(name, pa.bool_()), column)
    return rows
