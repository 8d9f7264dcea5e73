"""The classifier with every estimator and both kinds of network: alone, in packs, resumed."""

import io

import pytest
import torch

from raysweep import estimators

NAMES = estimators.names(family="layered")
SEEDS = list(range(4, 14))
RATES = [{"lr": rate} for rate in (0.1, 0.03) for _ in range(5)]
# Networks small enough to enumerate.
KINDS = {
    "dense": {
        "dataset": "points",
        "validation_examples": 0,
        "augmentation": "none",
        "network": "dense",
    },
    "convolutional": {"depths": (2, 1), "kernels": (3, 2), "strides": (3, 1)},
}


@pytest.fixture(params=KINDS)
def start(train, request):
    """Starts a pack in float64 with an estimator of its own; gives both."""

    def make(name, seeds=SEEDS, own=RATES):
        method = estimators.get(name, family="layered")
        settings = {**KINDS[request.param], "dtype": "float64"}
        return train("sbn_classifier", seeds, own, method, **settings), method

    return make


def same(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_the_same_alone_and_in_a_pack_of_ten(start, name):
    pack, together = start(name)
    metrics = {**pack.advance(25), **pack.evaluate()}
    for replica in (0, 7):
        alone, own = start(name, [SEEDS[replica]], [RATES[replica]])
        for key, value in {**alone.advance(25), **alone.evaluate()}.items():
            same(value[0], metrics[key][replica])
        for key, value in alone.state_dict()["model"].items():
            same(value[0], pack.state_dict()["model"][key][replica])
        for key, value in own.state_dict().items():
            same(value[0], together.state_dict()[key][replica])


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_run_goes_on_bit_for_bit(start, name):
    through, method = start(name)
    through.advance(7)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored, twin = start(name)
    restored.load_state_dict(torch.load(file, weights_only=True))
    expected = {**through.advance(7), **through.evaluate()}
    for key, value in {**restored.advance(7), **restored.evaluate()}.items():
        assert torch.equal(value, expected[key])
    for key, value in method.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


@pytest.mark.parametrize("name", NAMES)
def test_kept_replicas_go_on(start, name):
    whole, _ = start(name)
    cut, _ = start(name)
    for training in (whole, cut):
        training.advance(5)
    cut.select(torch.tensor([2, 0, 8]))
    expected = {**whole.advance(10), **whole.evaluate()}
    for key, value in {**cut.advance(10), **cut.evaluate()}.items():
        same(value, expected[key][[2, 0, 8]])


@pytest.mark.parametrize("name", NAMES)
def test_metrics_of_relaxed_networks_are_reported_by_methods_that_follow_one(start, name):
    training, method = start(name)
    assert ("train_relaxed_loss" in training.advance(1)) == method.relaxes
