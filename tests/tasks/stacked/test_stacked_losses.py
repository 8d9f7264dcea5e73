"""Losses that cannot be stacked: refused before step 1, in one line at their line."""

import random
import re

import numpy as np
import pytest
import torch
from stacked_models import accuracy, loss, make, mlp, refusal, start
from torch.nn.functional import cross_entropy, dropout
from torch.utils.checkpoint import checkpoint

FILE = r"\(test_stacked_losses.py:\d+\)"


def with_functional_dropout(model, batch, noise):
    x, y = batch
    return cross_entropy(dropout(model(x)), y)


def with_rand(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x + torch.rand(12)), y)


def with_generator(model, batch, noise):
    x, y = batch
    generator = torch.Generator().manual_seed(0)
    return cross_entropy(model(x + torch.rand(12, generator=generator)), y)


def with_numpy(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y) * (1 + np.random.rand())


def with_python(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y) * (1 + random.random())


DRAWS = "draws random numbers by itself; use noise.dropout(x, p), noise.uniform(*shape) or"


@pytest.mark.parametrize(
    "loss", [with_functional_dropout, with_rand, with_generator, with_numpy, with_python]
)
def test_a_loss_that_draws_by_itself_is_refused(loss):
    text = refusal(loss=loss)
    assert re.match(rf"{loss.__name__} {FILE}: {re.escape(DRAWS)}", text)


def branching(model, batch, noise):
    x, y = batch
    scores = model(x)
    if scores.mean() > 0:
        scores = scores * 2
    return cross_entropy(scores, y)


def branching_on_a_setting(model, batch, noise, *, scale: float = 1.0):
    x, y = batch
    scores = model(x)
    if scale > 0:
        scores = scores * scale
    return cross_entropy(scores, y)


def with_item(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y) * x.mean().item()


def with_label_smoothing(model, batch, noise, *, smoothing: float = 0.1):
    x, y = batch
    return cross_entropy(model(x), y, label_smoothing=smoothing)


def masking(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x)[y > 0], y[y > 0])


def with_numpy_arrays(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y) * float(x.numpy().mean())


def writing(model, batch, noise):
    x, y = batch
    scores = torch.zeros(len(x), 3, dtype=x.dtype)
    scores[:, 1:] = model(x)[:, 1:]
    return cross_entropy(scores, y)


def adding(model, batch, noise):
    x, y = batch
    scores = torch.zeros(len(x), 3, dtype=x.dtype)
    scores += model(x)
    return cross_entropy(scores, y)


def of_a_gradient(model, batch, noise):
    x = batch[0].clone().requires_grad_()
    [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    return cross_entropy(model(x), batch[1]) + slope.square().mean()


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def with_a_function(model, batch, noise):
    x, y = batch
    return cross_entropy(Square.apply(model(x)), y)


def clamping(model, batch, noise):
    x, y = batch
    next(model.parameters()).data.clamp_(-1, 1)
    return cross_entropy(model(x), y)


def moving(model, batch, noise):
    x, y = batch
    return cross_entropy(model.to("cpu")(x), y)


STACKED = {
    clamping: (2, "uses .data of a tensor, as .to() of a module does; use .detach() to read it"),
    moving: (2, "uses .data of a tensor"),
    of_a_gradient: (1, "asks for a gradient inside the loss; use torch.func.grad"),
    with_a_function: (2, "give it setup_context, and generate_vmap_rule = True"),
    branching: (3, "branches on a tensor, which may differ between the runs of a pack; use torch."),
    branching_on_a_setting: (3, "branches on a tensor"),
    with_item: (2, "reads a number from a tensor, by .item(), float() or an argument that takes"),
    with_label_smoothing: (2, "name it among the arguments of the module's function, too"),
    masking: (2, "has a result whose size depends on values; use torch.where, or multiply by the"),
    with_numpy_arrays: (2, "reads a tensor's memory, as .numpy() does; compute with torch"),
    writing: (3, "writes into a tensor that the runs share; use h = h + x"),
    adding: (3, "writes into a tensor that the runs share; use h = h + x"),
}


@pytest.mark.parametrize("loss", STACKED, ids=lambda loss: loss.__name__)
def test_a_loss_that_cannot_be_stacked_is_refused_at_its_line(loss):
    offset, message = STACKED[loss]
    text = refusal(loss=loss)
    line = loss.__code__.co_firstlineno + offset
    assert text.startswith(f"{loss.__name__} (test_stacked_losses.py:{line}): ")
    assert message in text


def test_label_smoothing_works_as_a_setting_of_the_module_too():
    def build(*, smoothing: float = 0.1):
        return mlp()

    task = make(build, loss=with_label_smoothing)
    assert "smoothing" not in task.definition.per_run
    start(task, [0, 1], smoothing=0.2).advance(1)


def test_a_loss_with_checkpoints_is_refused():
    def with_checkpoint(model, batch, noise):
        scores = checkpoint(model, batch[0], use_reentrant=False)
        return cross_entropy(scores, batch[1])

    text = refusal(loss=with_checkpoint)
    assert "cannot be stacked, as torch.utils.checkpoint does; call the module directly" in text


def test_gradients_by_functions_of_torch_can_be_stacked():
    def of_slopes(model, batch, noise):
        x, y = batch
        slopes = torch.func.vmap(torch.func.grad(lambda row: model(row[None]).sum()))(x)
        return cross_entropy(model(x), y) + slopes.square().mean()

    pack = start(make(loss=of_slopes), [0, 1]).advance(5)["train_loss"]
    alone = start(make(loss=of_slopes), [1]).advance(5)["train_loss"]
    torch.testing.assert_close(pack[1:], alone, rtol=1e-9, atol=1e-9)


def test_a_part_without_gradient_stays_without_when_stacked():
    def distilled(model, batch, noise):
        with torch.no_grad():
            target = model(batch[0]).softmax(1)
        return -(target * model(batch[0]).log_softmax(1)).sum(1).mean()

    pack = start(make(loss=distilled), [0, 1]).advance(5)["train_loss"]
    alone = start(make(loss=distilled), [1]).advance(5)["train_loss"]
    torch.testing.assert_close(pack[1:], alone, rtol=1e-9, atol=1e-9)


def test_metrics_of_a_loss_may_be_plain_numbers():
    def counting(model, batch, noise):
        return loss(model, batch, noise), {"share": 0.5}

    task = make(loss=counting, metrics={"train_loss": "min", "share": "max"})
    assert start(task, [0, 1]).advance(2)["share"].tolist() == [0.5, 0.5]


def test_a_generator_that_is_used_without_an_effect_is_accepted():
    def checking(model, batch, noise):
        assert 0 <= random.random() < 1
        return loss(model, batch, noise)

    def looking(model, data):
        np.random.rand()
        return accuracy(model, data)

    metrics = {"train_loss": "min", "test_accuracy": "max"}
    start(make(loss=checking, evaluate=looking, metrics=metrics), [0, 1]).advance(1)
