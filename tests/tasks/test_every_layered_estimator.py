"""Every estimator of layered networks trains every task of its family, as in the other family."""

import io

import pytest
import torch

from raysweep import estimators, tasks

TASKS = [name for name in tasks.names() if tasks.get(name).family == "layered"]
NAMES = estimators.names(family="layered")
SEEDS = list(range(4, 14))
RATES = [{"lr": rate} for rate in (0.1, 0.03) for _ in range(5)]
# Networks small enough to enumerate, one of each kind where a task has several.
TINY = {
    "dense": {"dataset": "points", "validation_examples": 0, "network": "dense"},
    "convolutional": {"depths": (2, 1), "kernels": (3, 2), "strides": (3, 1)},
}
LEARNING = ["nvil", "muprop", "rebar"]


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


@pytest.fixture(params=TINY)
def start(train, task, request):
    """Starts a pack in float64 with an estimator of its own; gives both."""
    if request.param == "convolutional" and task != "sbn_classifier":
        pytest.skip("the task has networks of one kind")
    tiny = TINY[request.param] if task == "sbn_classifier" else {}
    if request.param == "dense" and task == "sbn_classifier":
        tiny = {**tiny, "augmentation": "none"}

    def make(name, seeds=SEEDS, own=RATES, **settings):
        method = estimators.get(name, family="layered")
        settings = {**tiny, "dtype": "float64", **settings}
        return train(task, seeds, own, method, **settings), method

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


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_learned_moves_at_its_own_rate(start, name):
    moved = []
    for rate in (None, 1e-9):
        training, method = start(name, tuning_lr=rate)
        before = {key: value.clone() for key, value in method.named_parameters()}
        training.advance(3)
        changes = [(value - before[key]).abs().max() for key, value in method.named_parameters()]
        moved.append(max(changes).item())
    assert moved[0] > 1e-3
    assert moved[1] < 1e-8
