"""Every estimator trains every task, in packs as alone, and goes on from a checkpoint."""

import io

import pytest
import torch

import estimators
import tasks

SEEDS = [4, 5, 6]
RATES = [{"lr": 1e-2}, {"lr": 1e-3}, {"lr": 1e-2}]
NAMES = estimators.names()


@pytest.fixture(params=tasks.names())
def start(train, request):
    """Starts a pack in float64 with an estimator of its own; gives both."""

    def make(name, seeds=SEEDS, own=RATES, **settings):
        method = estimators.get(name)
        if request.param == "categorical_vae" and method.binary_only:
            settings["categories"] = 2
        training = train(request.param, seeds, own, method, dtype="float64", **settings)
        return training, method

    return make


def same(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_the_same_alone_and_in_a_pack(start, name):
    pack, together = start(name)
    metrics = {**pack.advance(25), **pack.evaluate()}
    for replica in (0, 2):
        alone, own = start(name, [SEEDS[replica]], [RATES[replica]])
        for key, value in {**alone.advance(25), **alone.evaluate()}.items():
            same(value[0], metrics[key][replica])
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
    assert torch.equal(through.advance(7)["train_loss"], restored.advance(7)["train_loss"])
    for key, value in method.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


@pytest.mark.parametrize("name", NAMES)
def test_kept_replicas_go_on(start, name):
    whole, _ = start(name)
    cut, _ = start(name)
    for training in (whole, cut):
        training.advance(5)
    cut.select(torch.tensor([2, 0]))
    same(cut.advance(10)["train_loss"], whole.advance(10)["train_loss"][[2, 0]])


@pytest.mark.parametrize("name", ["muprop", "rebar", "relax", "double_cv", "rodeo", "nvil"])
def test_what_is_learned_moves_at_its_own_rate(start, name):
    moved = []
    for rate in (None, 1e-9):
        training, method = start(name, tuning_lr=rate)
        before = {key: value.clone() for key, value in method.named_parameters()}
        training.advance(3)
        changes = [(value - before[key]).abs().max() for key, value in method.named_parameters()]
        moved.append(max(changes, default=torch.tensor(0.0)).item())
    if moved[0] == 0:
        assert name == "nvil"  # it has no network where the task gives no context
        return
    assert moved[0] > 1e-3
    assert moved[1] < 1e-8
