"""Best configuration of every cell by arrays: the same as by looking at each configuration."""

import numpy as np
import pytest
from figure_helpers import ESTIMATORS, TASKS, spec_of, store_of

from raysweep.results import bins, cells
from raysweep.results.selection import candidates, choose

SPACES = {
    "choices": {"lr": [0.3, 0.1], "optimizer": ["adam", "sgd"]},
    "ranges": {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "batch_size": {"low": 1, "high": 99}},
    "conditions": {
        "optimizer": ["adam", "sgd"],
        "lr": {"low": 0.001, "high": 1.0},
        "momentum": {"when": {"optimizer": "sgd"}, "low": 0.5, "high": 0.9},
    },
    "values outside": {
        "optimizer": ["adam", "sgd"],
        "window": {"when": {"optimizer": "sgd"}, "low": 5, "high": 60},
    },
}
STATUSES = ("diverged", "failed", "stopped", None)


def drawn(arm, random):
    """Some random points of an arm's space, without duplicates."""
    points = {}
    for _ in range(25):
        chosen = {}
        for key in arm.searched:
            if arm.applies(key, chosen):
                domain = arm.domain(key, chosen)
                if hasattr(domain, "values"):
                    chosen[key] = domain.values[random.integers(len(domain.values))]
                else:
                    number = domain.low + random.random() * (domain.high - domain.low)
                    chosen[key] = domain.nearest(number)
        points[str(chosen)] = chosen
    return list(points.values())


def sweep(folder, space, seed):
    """A sweep of random configurations, whose runs end in all ways and often with equal means."""
    random = np.random.default_rng(seed)
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": {"low": 0.1, "high": 3.0}}}
    spec = spec_of(
        TASKS,
        {**estimators, "RF": ESTIMATORS["RF"]},
        training=space,
        search={"sampler": "random", "configurations": 2},
    )
    points = {arm: drawn(arm, random) for arm in spec.arms}

    def ended(*_):
        if random.random() < 0.12:
            return STATUSES[random.integers(len(STATUSES))]
        return float(random.integers(4)) / 3

    return store_of(folder, spec, ended, curve=None, points=lambda arm: points[arm])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SPACES)
def test_cells_are_those_found_one_by_one(name, seed, tmp_path):
    results = sweep(tmp_path, SPACES[name], seed)
    stats = results.configurations("train_loss")
    by_arm = candidates(results.spec, results.ended("train_loss"))
    for arm, tried in zip(results.spec.arms, by_arm, strict=True):
        indices = stats.of(arm)
        for setting in arm.searched:
            shown = bins.columns([arm], setting)
            groups = {}
            for candidate in tried:
                column = bins.column_of(bins.value_at(arm, candidate, setting), shown)
                groups.setdefault(cells.NONE if column is None else column, []).append(candidate)
            columns = cells.columns_of(arm, stats, indices, setting, shown)
            assert columns.tolist() == [
                next(key for key, group in groups.items() if one in group) for one in tried
            ]
            kept = columns != cells.NONE
            members = indices[kept], columns[kept], len(shown)
            found = cells.best_cells(stats, members, "train_loss", "train_loss")
            for column in range(len(shown)):
                group = groups.get(column, [])
                chosen = choose(group, "train_loss", "min")
                assert found.tried[column] == len(group)
                assert found.stopped[column] == sum(one.has("stopped") for one in group)
                if chosen is None:
                    assert found.best[column] == cells.NONE
                else:
                    complete = chosen[1] == "selected"
                    assert (found.best[column], found.complete[column]) == (
                        chosen[0].index,
                        complete,
                    )


def test_configurations_of_an_earlier_version_are_in_the_same_cells(tmp_path):
    results = sweep(tmp_path, SPACES["ranges"], 0)
    runs = results.ended("train_loss")
    arm = results.spec.arms[0]
    stats = results.configurations("train_loss")
    earlier = results.configurations("train_loss")
    earlier.runs.table = runs.table.drop_columns(["definition"])
    shown = bins.columns([arm], "training.lr")
    columns = cells.columns_of(arm, stats, stats.of(arm), "training.lr", shown)
    assert earlier.of(arm).tolist() == stats.of(arm).tolist()
    found = cells.columns_of(arm, earlier, earlier.of(arm), "training.lr", shown)
    assert found.tolist() == columns.tolist()


def test_of_equal_means_the_smaller_id_is_best(tmp_path):
    results = store_of(tmp_path, spec_of(training={"lr": [0.3, 0.1]}), lambda *_: 1.0, curve=None)
    stats = results.configurations("train_loss")
    indices = stats.of(results.spec.arms[0])
    members = indices, np.zeros(len(indices), np.int64), 2
    best, complete = cells.best_of(stats, members, "train_loss", "min")
    assert stats.runs.ids[best[0]] == min(stats.runs.ids[index] for index in indices)
    assert (best[1], complete.tolist()) == (cells.NONE, [True, False])
