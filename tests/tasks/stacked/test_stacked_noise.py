"""Random numbers of stacked tasks: by seed and step, the same alone and in a pack."""

import numpy as np
import pytest
import torch
from stacked_models import MODELS, Noisy, loss, make, refusal, start
from torch.nn.functional import cross_entropy

from raysweep.estimators.noise import Noise
from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.stacked import NO_NOISE

METRICS = {"train_loss": "min", "drawn": "min"}
DATA = MODELS["mlp"][1]


def noisy():
    return Noisy()


def with_dropout(model, batch, noise, *, dropout: float = 0.2):
    x, y = batch
    return cross_entropy(model(x, noise, dropout), y)


def with_draws(model, batch, noise):
    x, y = batch
    shifted = x + 0.1 * noise.normal(*x.shape)
    return cross_entropy(model(shifted), y), {"drawn": noise.uniform()}


def test_dropout_is_the_same_alone_and_in_a_pack():
    task = make(noisy, loss=with_dropout)
    rates = [{"dropout": 0.0}, {"dropout": 0.2}, {"dropout": 0.6}]
    pack = start(task, range(3), rates).advance(50)["train_loss"]
    for seed, row in enumerate(rates):
        alone = start(task, [seed], [row]).advance(50)["train_loss"]
        torch.testing.assert_close(alone[0], pack[seed], rtol=1e-9, atol=1e-9)


def test_dropout_of_zero_is_none():
    pack = start(make(noisy, loss=with_dropout), [0], [{"dropout": 0.0}]).advance(5)
    plain = start(make(noisy), [0]).advance(5)
    torch.testing.assert_close(pack["train_loss"], plain["train_loss"], rtol=1e-12, atol=0)


def test_numbers_depend_on_seed_and_step():
    task = make(loss=with_draws, metrics=METRICS)
    training = start(task, [0, 1, 0])
    first, second = (training.advance(1)["drawn"] for _ in range(2))
    assert first[0] == first[2] != first[1]
    assert not (first == second).any()
    again = start(task, [1])
    again.advance(1)
    assert again.advance(1)["drawn"][0] == second[1]


def test_numbers_are_those_of_the_noise_of_the_training():
    training = start(make(loss=with_draws, metrics=METRICS), [7])
    noise = Noise(seeds=[7], purpose="train")
    noise.at(0)
    noise.uniform(1, 8, 12, dtype=torch.float64)
    expected = noise.uniform(1, dtype=torch.float64)
    assert training.advance(1)["drawn"] == expected


def test_normal_numbers_are_standard_normal():
    drawn = []

    def many(model, batch, noise):
        drawn.append(noise.normal(20_000))
        return cross_entropy(model(batch[0]), batch[1])

    start(make(loss=many), [0]).advance(1)
    numbers = drawn[-1].double()
    assert abs(numbers.mean()) < 5 / 20_000**0.5
    assert abs(numbers.var() - 1) < 5 * (2 / 20_000) ** 0.5


def test_dropout_keeps_the_mean_and_the_fraction():
    drawn = []

    def many(model, batch, noise):
        drawn.append(noise.dropout(torch.ones(20_000, dtype=torch.float64), 0.25))
        return cross_entropy(model(batch[0]), batch[1])

    start(make(loss=many), [0]).advance(1)
    values, counts = drawn[-1].unique(return_counts=True)
    assert values.tolist() == [0, pytest.approx(4 / 3, rel=1e-14)]
    assert counts[0] / 20_000 == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 20_000) ** 0.5)


def test_a_selection_keeps_the_numbers_of_runs():
    task = make(loss=with_draws, metrics=METRICS)
    whole, cut = start(task, range(3)), start(task, range(3))
    for training in (whole, cut):
        training.advance(2)
    cut.select(torch.tensor([2, 0]))
    assert torch.equal(cut.advance(1)["drawn"], whole.advance(1)["drawn"][[2, 0]])


def test_an_evaluation_has_no_dropout():
    x = torch.rand(3)
    assert NO_NOISE.dropout(x, 0.5) is x
    with pytest.raises(TaskMistake, match=r"normal\(3\) of NO_NOISE, which has no random numbers"):
        NO_NOISE.normal(3)


CHANGING = {
    "other shapes": (
        lambda noise, late: noise.uniform(4 if late else 3),
        r"got noise.uniform\(4\) after noise.uniform\(3\)",
    ),
    "other kinds": (
        lambda noise, late: noise.normal(3) if late else noise.uniform(3),
        r"got noise.normal\(3\) after noise.uniform\(3\)",
    ),
    "more": (
        lambda noise, late: [noise.uniform(3) for _ in range(1 + late)],
        r"1 in the first; got one more, noise.uniform\(3\)",
    ),
    "fewer": (lambda noise, late: late or noise.uniform(3), "got no more after 0"),
}


@pytest.mark.parametrize("seeds", [[0], [0, 1]], ids=["alone", "pack"])
@pytest.mark.parametrize("change", CHANGING)
def test_requests_that_change_are_refused(change, seeds):
    draw, message = CHANGING[change]
    calls = []

    def changing(model, batch, noise):
        calls.append(1)
        draw(noise, len(calls) > 3)
        return cross_entropy(model(batch[0]), batch[1])

    training = start(make(loss=changing), seeds)
    training.advance(1)
    with pytest.raises(TaskMistake, match=message) as caught:
        training.advance(1)
    assert "changing (test_stacked_noise.py:" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_dropout_out_of_range_is_refused(p):
    def wrong(model, batch, noise):
        return cross_entropy(model(noise.dropout(batch[0], p)), batch[1])

    with pytest.raises(TaskMistake, match=rf"expected p in \[0, 1\), got {p}"):
        start(make(loss=wrong), [0])


@pytest.mark.parametrize("shape", [((8, 3),), (torch.zeros(8),), (8, 2.5), (-1,)])
def test_a_shape_that_is_none_is_refused_at_the_users_line(shape):
    def drawing(model, batch, noise):
        return loss(model, batch, noise) * noise.normal(*shape).mean()

    line = drawing.__code__.co_firstlineno + 1
    assert refusal(loss=drawing).startswith(
        f"drawing (test_stacked_noise.py:{line}): noise.normal: expected whole numbers, as in "
        "noise.normal(*x.shape), got "
    )


def test_numbers_of_numpy_are_a_shape():
    def drawing(model, batch, noise):
        return loss(model, batch, noise) * noise.uniform(np.int64(8)).mean()

    start(make(loss=drawing), [0, 1]).advance(1)


def test_noise_names_what_it_has():
    def drawing(model, batch, noise):
        return loss(model, batch, noise) * noise.gauss(8)

    line = drawing.__code__.co_firstlineno + 1
    assert refusal(loss=drawing) == (
        f"drawing (test_stacked_noise.py:{line}): AttributeError: noise has no 'gauss'; use "
        "noise.dropout(x, p), noise.uniform(*shape) or noise.normal(*shape)"
    )
