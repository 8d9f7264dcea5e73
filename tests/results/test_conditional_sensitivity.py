"""Sensitivity where settings apply under conditions."""

import pytest
from figure_helpers import spec_of, store_of

TRAINING = {
    "optimizer": ["adam", "sgd"],
    "momentum": {"when": {"optimizer": "sgd"}, "choices": [0.0, 0.9]},
}


@pytest.fixture
def results_of(tmp_path):
    """The store of a sweep whose losses are given by optimizer and momentum."""

    def make(losses):
        estimators = {"ST": {"estimator": "straight_through"}}
        spec = spec_of({"A": {"task": "toy"}}, estimators, training=TRAINING)
        order = [
            (cell["training.optimizer"], cell.get("training.momentum"))
            for cell in spec.arms[0].cells()
        ]
        return store_of(tmp_path, spec, lambda task, estimator, place, seed: losses[order[place]])

    return make


def moves_of(results, setting):
    (found,) = (each for each in results.sensitivity() if each.setting == f"training.{setting}")
    return {move.value: move for move in found.moves}


def test_a_setting_that_does_not_apply_has_a_place_of_its_own(results_of):
    results = results_of({("adam", None): 1.0, ("sgd", 0.0): 2.0, ("sgd", 0.9): 3.0})
    moves = moves_of(results, "momentum")
    assert [(value, move.here, move.free) for value, move in moves.items()] == [
        ("0", False, 2.0),
        ("0.9", False, 3.0),
        ("–", True, 1.0),
    ]


def test_what_begins_to_apply_is_held_at_its_default(results_of):
    results = results_of({("adam", None): 1.0, ("sgd", 0.0): 4.0, ("sgd", 0.9): 3.0})
    assert moves_of(results, "optimizer")["sgd"].held == 4.0
    assert moves_of(results, "optimizer")["sgd"].free == 3.0


def test_what_ceases_to_apply_is_let_go(results_of):
    results = results_of({("adam", None): 5.0, ("sgd", 0.0): 4.0, ("sgd", 0.9): 3.0})
    assert moves_of(results, "optimizer")["adam"].held == 5.0
