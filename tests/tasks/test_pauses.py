"""Evaluations that pause between their parts have the same metrics as those that do not."""

import math
import time

import pytest
import torch

from raysweep.tasks.pauses import Evaluation, pause

PARTS = {
    "bernoulli_vae": 4,
    "categorical_vae": 4,
    "gradient_quality": 1,
    "listops": 2,
    "nas": 1,
    "sbn_classifier": 2,
    "sbn_generative": 4,
    "sbn_gradient_quality": 1,
    "structured_prediction": 4,
}


def in_slices(training):
    """The metrics, with every pause taken, and how many there were."""
    evaluation, slices = Evaluation(training.evaluate), 0
    while (metrics := evaluation.continued(until=-math.inf)) is None:
        slices += 1
    return metrics, slices


@pytest.mark.parametrize("name", PARTS)
def test_an_evaluation_in_slices_is_that_in_one_piece(train, name):
    training = train(name, [0, 1])
    expected = {key: value.clone() for key, value in training.evaluate().items()}
    found, slices = in_slices(training)
    assert slices >= PARTS[name]
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0, equal_nan=True)


def test_no_pause_is_taken_before_its_time():
    evaluation = Evaluation(lambda: {} if pause() is None else {"wrong": torch.zeros(1)})
    assert evaluation.continued(until=time.monotonic() + 60) == {}


def test_a_pause_outside_an_evaluation_is_none():
    pause()


def test_an_evaluation_that_is_closed_ends_at_its_pause():
    seen = []

    def evaluate():
        try:
            pause()
        finally:
            seen.append("left")

    evaluation = Evaluation(evaluate)
    assert evaluation.continued(until=-math.inf) is None
    evaluation.close()
    assert seen == ["left"]
