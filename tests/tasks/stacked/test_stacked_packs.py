"""Runs of stacked tasks: in a pack as alone, and as a plain loop of PyTorch trains them."""

import io

import pytest
import torch
from stacked_models import (
    MODELS,
    UNDETERMINED,
    accuracy,
    convolutional,
    images,
    loss,
    make,
    mlp,
    smooth,
    start,
    weights,
)
from stacked_models import vectors as data
from torch.nn.functional import cross_entropy

from raysweep import registry
from raysweep.tasks.training.batches import BatchSampler
from raysweep.testing.tasks import check_task

WITH_ACCURACY = {"train_loss": "min", "test_accuracy": "max"}
OPTIMIZERS = {
    "adam": {"optimizer": "adam"},
    "radam": {"optimizer": "radam", "weight_decay": 1e-3},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
}
NO_RULE = "ignore:There is a performance drop.*rnn_tanh_cell"  # torch's, for a recurrent cell
RATES = [{"lr": 0.01}, {"lr": 0.01}, {"lr": 0.003}, {"lr": 0.05}]


def saved(training):
    file = io.BytesIO()
    torch.save(training.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [("float64", 50, 1e-9), ("float32", 5, 1e-4)],
    ids=["float64", "float32"],
)
@pytest.mark.filterwarnings(NO_RULE)
@pytest.mark.parametrize("model", MODELS)
def test_a_run_in_a_pack_is_as_it_is_alone(model, dtype, steps, tolerance):
    task = make(*MODELS[model], evaluate=accuracy, metrics=WITH_ACCURACY)
    pack = start(task, range(4), RATES, dtype=dtype)
    together = {**pack.advance(steps), **pack.evaluate()}
    for index in (1, 3):
        alone = start(task, [index], [RATES[index]], dtype=dtype)
        for name, value in {**alone.advance(steps), **alone.evaluate()}.items():
            torch.testing.assert_close(
                value[0], together[name][index], rtol=tolerance, atol=tolerance
            )
        for name, value in ({} if model in UNDETERMINED else weights(alone)).items():
            torch.testing.assert_close(
                value[0], weights(pack)[name][index], rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize(("build", "parts"), [(mlp, data), (convolutional, images)])
def test_a_run_is_as_a_plain_loop_trains_it(build, parts, rule):
    training = start(make(build, parts), [5, 6], **OPTIMIZERS[rule])
    reported = training.advance(20)["train_loss"]
    torch.manual_seed(6)
    module = build().double()
    kind = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam, "sgd": torch.optim.SGD}[rule]
    others = {name: value for name, value in OPTIMIZERS[rule].items() if name != "optimizer"}
    optimizer = kind(module.parameters(), lr=0.01, **others)
    x, y = parts(None)["train"]
    order, losses = BatchSampler([6], len(x), 8, "cpu"), []
    for step in range(20):
        rows = order.batch(step)[0]
        value = loss(module, (x[rows], y[rows]), None)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert reported[1].item() == pytest.approx(sum(losses) / 20, rel=1e-9)
    for parameter, stacked in zip(module.parameters(), weights(training).values(), strict=True):
        torch.testing.assert_close(stacked[1], parameter.detach(), rtol=1e-8, atol=1e-8)


def test_tied_weights_stay_tied_and_are_counted_once():
    training = start(make(*MODELS["tied weights"]), [0, 1])
    training.advance(3)
    shapes = [tuple(value.shape) for value in weights(training).values()]
    assert shapes.count((2, 12, 12)) == 1


def test_frozen_weights_and_buffers_do_not_change():
    training = start(make(*MODELS["frozen weights and a buffer"]), [0, 1], weight_decay=0.1)
    before = weights(training)
    training.advance(5)
    changed = {
        name for name, value in weights(training).items() if not torch.equal(value, before[name])
    }
    assert changed == {"weights.0", "weights.1"}


def test_a_run_has_the_initial_weights_of_its_seed():
    torch.manual_seed(3)
    expected = mlp()[0].weight.detach()
    state = torch.get_rng_state()
    first = weights(start(make(), [1, 3], dtype="float32"))["weights.0"]
    assert torch.equal(first[1], expected)
    assert not torch.equal(first[0], expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_runs_of_a_pack_have_settings_of_the_loss_of_their_own():
    task = make(loss=smooth)
    rows = [{"smoothing": 0.0, "scale": 1.0}, {"smoothing": 0.3, "scale": 2.0}]
    together = start(task, [4, 4], rows).advance(9)["train_loss"]
    for index, row in enumerate(rows):
        alone = start(task, [4], **row).advance(9)["train_loss"]
        torch.testing.assert_close(alone[0], together[index], rtol=1e-9, atol=1e-9)
    assert together[0] != together[1]


def threshold(model, data, *, least: float = 0.5):
    x, _ = data["test"]
    likely = torch.softmax(model(x), 1).max(1).values > least
    return {"test_accuracy": likely.double().mean()}


def test_runs_of_a_pack_have_settings_of_the_evaluation_of_their_own():
    task = make(evaluate=threshold, metrics=WITH_ACCURACY)
    training = start(task, [4, 4], [{"least": 0.0}, {"least": 1.0}])
    assert training.evaluate()["test_accuracy"].tolist() == [1.0, 0.0]


def test_a_restored_training_continues_bit_for_bit():
    task = make(evaluate=accuracy, metrics=WITH_ACCURACY)
    through, restored = (start(task, range(3), RATES[:3], dtype="float32") for _ in range(2))
    through.advance(7)
    restored.load_state_dict(saved(through))
    assert restored.step == 7
    one, two = through.advance(8), restored.advance(8)
    assert torch.equal(one["train_loss"], two["train_loss"])
    for name, value in weights(through).items():
        assert torch.equal(weights(restored)[name], value)
    assert torch.equal(through.evaluate()["test_accuracy"], restored.evaluate()["test_accuracy"])


@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True, False]), torch.tensor([0, 2]), torch.tensor([2])]
)
def test_kept_runs_continue_as_if_nothing_happened(keep):
    task = make(*MODELS["frozen weights and a buffer"], evaluate=accuracy, metrics=WITH_ACCURACY)
    whole, cut = (start(task, range(4), RATES) for _ in range(2))
    whole.advance(3)
    cut.advance(3)
    cut.select(keep)
    expected = {**whole.advance(5), **whole.evaluate()}
    for name, value in {**cut.advance(5), **cut.evaluate()}.items():
        torch.testing.assert_close(value, expected[name][keep], rtol=1e-9, atol=1e-9)


def test_an_evaluation_sees_the_module_in_evaluation_mode_and_restores_it():
    seen = []

    def evaluate(model, data):
        seen.append((model.training, torch.is_grad_enabled()))
        return {"test_accuracy": 1.0}

    def watched(model, batch, noise):
        seen.append((model.training, torch.is_grad_enabled()))
        return loss(model, batch, noise)

    training = start(make(loss=watched, evaluate=evaluate, metrics=WITH_ACCURACY), [0])
    seen.clear()
    training.evaluate()
    training.advance(1)
    assert seen == [(False, False), (True, True)]


def test_batches_of_nested_parts_reach_the_loss():
    def nested(folder):
        x, y = data(folder)["train"]
        return {"train": {"inputs": [x, x + 1], "classes": y}}

    def of_nested(model, batch, noise):
        one, two = batch["inputs"]
        return cross_entropy(model(one) + model(two), batch["classes"])

    training = start(make(data=nested, loss=of_nested), [0, 1])
    assert training.advance(2)["train_loss"].shape == (2,)


def test_a_method_of_the_module_can_be_called_in_the_loss():
    def of_parts(model, batch, noise):
        x, y = batch
        penalty = model[0].weight.square().sum()
        return cross_entropy(model[2](torch.relu(model[0](x))), y) + 1e-3 * penalty

    pack = start(make(loss=of_parts), [0, 1]).advance(5)["train_loss"]
    alone = start(make(loss=of_parts), [1]).advance(5)["train_loss"]
    torch.testing.assert_close(pack[1:], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", ["mlp", "attention", "batch norm"])
def test_a_stacked_task_passes_the_check_of_tasks(model):
    def small():
        return MODELS[model][0]()

    with registry.added([make(small, MODELS[model][1])]):
        assert check_task("small", batch_size=8) == []


def test_training_averages_over_one_epoch_at_the_end():
    assert start(make(), [0], steps=100).window == 40 // 8
