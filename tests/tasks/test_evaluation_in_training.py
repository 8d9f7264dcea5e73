"""Bounds of test images for the curves: evaluated now and then, held in between."""

import io

import pytest
import torch

from raysweep import tasks

NAMES = [
    "categorical_vae",
    "bernoulli_vae",
    "structured_prediction",
    "sbn_generative",
    "sbn_structured",
]
EVERY = {"report_every": 5, "evaluate_every": 10, "validation_examples": 100}


@pytest.fixture(params=NAMES)
def start(train, request):
    return lambda **settings: train(request.param, [3, 4], **settings)


def evaluated(metrics):
    names = [name for name in metrics if name.startswith(("test_", "valid_", "active"))]
    assert len(names) == (5 if "active_units" in names else 4)
    return torch.stack([metrics[name] for name in sorted(names)])


def test_a_row_has_the_evaluation_of_its_first_step(start):
    followed, plain = start(**EVERY), start(validation_examples=100)
    for _ in range(2):
        expected = evaluated(plain.evaluate())
        assert torch.equal(evaluated(followed.advance(1)), expected)
        mean = evaluated(followed.advance(9))  # of nine equal numbers
        torch.testing.assert_close(mean, expected, rtol=1e-12, atol=0)
        plain.advance(10)


def test_evaluation_changes_nothing_that_training_depends_on(start):
    followed, plain = start(**EVERY), start(validation_examples=100)
    assert torch.equal(followed.advance(25)["train_loss"], plain.advance(25)["train_loss"])


def test_what_was_evaluated_outlives_a_checkpoint(start):
    through = start(**EVERY)
    through.advance(13)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored = start(**EVERY)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(evaluated(restored.advance(5)), evaluated(through.advance(5)))


def test_dropped_replicas_take_their_evaluation_with_them(start):
    training = start(**EVERY)
    expected = evaluated(training.advance(3))
    training.select(torch.tensor([False, True]))
    found = evaluated(training.advance(3))
    torch.testing.assert_close(found, expected[:, 1:], rtol=1e-12, atol=0)


@pytest.mark.parametrize("every", [0, 7, 150])
def test_rows_and_evaluations_must_fit_together(every):
    with pytest.raises(ValueError, match=f"multiple of report_every, 100, got {every}"):
        tasks.get("categorical_vae").settings(evaluate_every=every)
