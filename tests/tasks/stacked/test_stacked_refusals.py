"""Modules, losses and evaluations that cannot be stacked: refused before step 1, in one line."""

import random
import re

import numpy as np
import pytest
import torch
from stacked_models import MODELS, loss, make, mlp, start, vectors
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from raysweep.tasks.functions.signature import TaskMistake

FILE = r"\(test_stacked_refusals.py:\d+\)"


def refusal(**functions):
    """The message of the mistake, the same from the driver and from a worker."""
    task = make(**functions)
    with pytest.raises(TaskMistake) as in_driver:
        task.prepare(task.settings(batch_size=8), None)
    with pytest.raises(TaskMistake) as in_worker:
        start(task, [0], dtype="float32")
    assert str(in_driver.value) == str(in_worker.value)
    assert "\n" not in str(in_driver.value)
    return str(in_driver.value)


class Cell(nn.Module):
    """A module with a part that is refused, or a forward pass that is."""

    def __init__(self, part=None, forward=None):
        super().__init__()
        self.scores, self.part, self._forward = nn.Linear(12, 3), part, forward
        self.register_buffer("count", torch.zeros(()))
        self.calls = 0

    def forward(self, x):
        h = self.scores(x)
        return h if self._forward is None else self._forward(self, h)


def counting(self, h):
    self.count += 1
    return h


def replacing(self, h):
    self.count = self.count + 1
    return h


def remembering(self, h):
    self.last = h
    return h


def numbering(self, h):
    self.calls += 1
    return h


class Holding(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores, self.scale = nn.Linear(12, 3), torch.rand(3)

    def forward(self, x):
        return self.scores(x) * self.scale


PARTS = {
    "dropout": (lambda: nn.Dropout(0.1), "part (Dropout) draws random numbers by itself; set its"),
    "dropout of maps": (lambda: nn.Dropout2d(0.1), "part (Dropout2d) draws random numbers"),
    "random slopes": (nn.RReLU, "part (RReLU) draws random numbers"),
    "attention with dropout": (
        lambda: nn.MultiheadAttention(4, 2, dropout=0.1),
        "part (MultiheadAttention) draws random numbers",
    ),
    "a layer of a transformer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8),
        "(MultiheadAttention) draws random numbers",
    ),
    "batch norm": (
        lambda: nn.BatchNorm1d(3),
        "part (BatchNorm1d) keeps running statistics; set track_running_stats=False, or use",
    ),
    "instance norm": (
        lambda: nn.InstanceNorm1d(3, track_running_stats=True),
        "part (InstanceNorm1d) keeps running statistics; set track_running_stats=False",
    ),
    "LSTM": (
        lambda: nn.LSTM(3, 3),
        "part (LSTM) cannot be stacked; write its step with torch.nn.Linear, in a loop",
    ),
    "LSTM cell": (lambda: nn.LSTMCell(3, 3), "part (LSTMCell) cannot be stacked"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_cannot_be_stacked_is_refused(part):
    create, message = PARTS[part]

    def with_part():
        return Cell(create())

    text = refusal(build=with_part)
    assert re.match(rf"with_part {FILE}: the module part", text)
    assert message in text


@pytest.mark.parametrize("part", [nn.Dropout(0.0), nn.BatchNorm1d(3, track_running_stats=False)])
def test_parts_that_do_nothing_at_random_are_accepted(part):
    def with_part():
        return nn.Sequential(nn.Linear(12, 3), type(part)(**vars_of(part)))

    def vars_of(part):
        is_norm = isinstance(part, nn.BatchNorm1d)
        return {"num_features": 3, "track_running_stats": False} if is_norm else {"p": 0.0}

    start(make(with_part), [0, 1]).advance(1)


def lazy():
    return nn.LazyLinear(3)


def without_parameters():
    return nn.Flatten()


def frozen():
    return nn.Linear(12, 3).requires_grad_(False)


def with_integers():
    module = Cell()
    module.table = nn.Parameter(torch.arange(3), requires_grad=False)
    return module


def holding():
    return Holding()


SHARED = nn.Linear(12, 3)


def shared():
    return SHARED


def depending_on_the_seed():
    return nn.Sequential(nn.Linear(12, 3 + int(torch.randint(1000, ()))), nn.ReLU())


def with_an_attribute_of_the_seed():
    module = Cell()
    module.scale = random.random()
    return module


def no_module():
    return [nn.Linear(12, 3)]


def raising():
    raise RuntimeError("no\nmodule")


MODULES = {
    lazy: "the parameter weight has no shape yet; give the layer its number of inputs",
    without_parameters: "the module has no parameters to train",
    frozen: "the module has no parameters to train",
    with_integers: "the parameter table is of the type int64; make it a float, or a buffer",
    holding: "the module Holding holds a tensor as 'scale'; use self.register_buffer('scale', ...)",
    shared: "returned a parameter that an earlier run has; build a new module",
    depending_on_the_seed: "expected the modules of all runs to be alike, got",
    with_an_attribute_of_the_seed: "as scale for two seeds; use a setting, or a buffer",
    no_module: "expected it to return a torch.nn.Module, got list",
    raising: "RuntimeError: no module",
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("build", MODULES, ids=lambda build: build.__name__)
def test_a_module_that_cannot_be_stacked_is_refused(build):
    text = refusal(build=build)
    assert re.match(rf"{build.__name__} {FILE}: ", text)
    assert MODULES[build] in text


FORWARDS = {
    "a buffer in place": (counting, "changes count of the module"),
    "a buffer replaced": (replacing, "changes count of the module"),
    "an attribute": (remembering, "sets last of the module; return the value instead"),
    "a number": (numbering, "sets calls of the module; return the value instead"),
}


@pytest.mark.parametrize("change", FORWARDS)
def test_a_module_that_changes_itself_is_refused(change):
    forward, message = FORWARDS[change]

    def changing():
        return Cell(forward=forward)

    assert message in refusal(build=changing, loss=own_loss)


def own_loss(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y)


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


def test_a_draw_in_a_module_is_refused_at_its_line():
    def drawing(self, h):
        return h + torch.randn_like(h)

    def module():
        return Cell(forward=drawing)

    line = drawing.__code__.co_firstlineno + 1
    text = refusal(build=module, loss=own_loss)
    assert text.startswith(f"own_loss (test_stacked_refusals.py:{line}): {DRAWS}")


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


STACKED = {
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
    assert text.startswith(f"{loss.__name__} (test_stacked_refusals.py:{line}): ")
    assert message in text


def test_label_smoothing_works_as_a_setting_of_the_module_too():
    def build(*, smoothing: float = 0.1):
        return mlp()

    task = make(build, loss=with_label_smoothing)
    assert "smoothing" not in task.definition.per_run
    start(task, [0, 1], smoothing=0.2).advance(1)


OTHER = mlp()


def of_another_module(model, batch, noise):
    x, y = batch
    return cross_entropy(OTHER(x), y)


def per_example(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y, reduction="none")


def a_number(model, batch, noise):
    return 1.5


def of_constants(model, batch, noise):
    return batch[0].mean()


def undeclared(model, batch, noise):
    return loss(model, batch, noise), {"accuracy": 0.5}


def renamed(model, batch, noise):
    return loss(model, batch, noise), {"train_loss": 0.5}


def of_vectors(model, batch, noise):
    return loss(model, batch, noise), {"train_other": batch[0]}


def three(model, batch, noise):
    return loss(model, batch, noise), {}, {}


def wrong_shapes(model, batch, noise):
    return cross_entropy(model(batch[0].T), batch[1])


RESULTS = {
    per_example: "expected the loss to be a tensor with one number, or (loss, {name: metric}), "
    "got a tensor float32 of the shape [8]; return its mean",
    a_number: "expected the loss to be a tensor with one number, or (loss, {name: metric}), got fl",
    of_constants: "the loss has no gradient by the module's parameters; compute it from the module",
    of_another_module: "the loss has no gradient by the module's parameters",
    undeclared: "got the metric 'accuracy', which is not declared; add it to the metrics of "
    "stacked_task (declared: train_loss, train_other)",
    renamed: "the metric 'train_loss' is the loss itself; give another name",
    of_vectors: "expected the metric 'train_other' to be a tensor with one number, got a tensor "
    "float32 of the shape [8, 12]",
    three: "expected the loss to be a tensor with one number, or (loss, {name: metric}), got tuple",
    wrong_shapes: "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
}


@pytest.mark.parametrize("loss", RESULTS, ids=lambda loss: loss.__name__)
def test_a_loss_that_returns_something_else_is_refused(loss):
    text = refusal(loss=loss, metrics={"train_loss": "min", "train_other": "min"})
    assert re.match(rf"{loss.__name__} {FILE}: ", text)
    assert RESULTS[loss] in text


def test_a_loss_that_is_another_one_when_stacked_is_refused():
    calls = []

    def counting_calls(model, batch, noise):
        calls.append(1)
        return loss(model, batch, noise) * len(calls)

    task = make(loss=counting_calls)
    with pytest.raises(
        TaskMistake, match=r"is 1\.\d+ alone but 2\.\d+ stacked; let it depend on the"
    ):
        task.prepare(task.settings(batch_size=8), None)


def test_weights_that_are_not_stacked_are_refused():
    first = []

    def of_first_module(model, batch, noise):
        first.append(list(model.parameters())[-1])
        return loss(model, batch, noise) + first[0].sum()

    task = make(loss=of_first_module)
    with pytest.raises(
        TaskMistake, match=r"the gradient of 2.bias is another one alone than stack"
    ):
        task.prepare(task.settings(batch_size=8), None)


def test_a_sparse_gradient_is_refused():
    def sparse():
        return nn.Sequential(nn.Embedding(7, 4, sparse=True), nn.Flatten(), nn.Linear(48, 3))

    text = refusal(build=sparse, data=MODELS["attention"][1])
    assert "the gradient of 0.weight is sparse; set sparse=False" in text


def evaluated(evaluate, metrics=("test_accuracy",)):
    declared = {"train_loss": "min", **dict.fromkeys(metrics, "max")}
    return refusal(evaluate=evaluate, metrics=declared)


def drawing(model, data):
    return {"test_accuracy": torch.rand(())}


def forgetting(model, data):
    return {}


def naming(model, data):
    return {"test_acuracy": 0.5}


def returning(model, data):
    return 0.5


def without_part(model, data):
    return {"test_accuracy": model(data["valid"][0]).mean()}


EVALUATIONS = {
    drawing: "draws random numbers; an evaluation must be a function of its inputs",
    forgetting: "the metric 'test_accuracy' is declared but not returned; return it, or remove it",
    naming: "got the metric 'test_acuracy', which is not declared",
    returning: "expected metrics as {name: number}, got float",
    without_part: "KeyError: 'valid'",
}


@pytest.mark.parametrize("evaluate", EVALUATIONS, ids=lambda evaluate: evaluate.__name__)
def test_an_evaluation_with_a_mistake_is_refused_before_the_first_step(evaluate):
    text = evaluated(evaluate)
    assert re.match(rf"{evaluate.__name__} {FILE}: ", text)
    assert EVALUATIONS[evaluate] in text


def no_parts(folder):
    return vectors(folder)["train"]


def no_train(folder):
    return {"training": vectors(folder)["train"]}


def arrays(folder):
    return {"train": (np.zeros((3, 12)), np.zeros(3))}


def uneven(folder):
    return {"train": (torch.zeros(3, 12), torch.zeros(4))}


def failing(folder):
    raise ValueError(f"no such file in\n{folder.name}")


DATA = {
    no_parts: 'expected {"train": (x, y), ...}, tensors that lead with the examples, got tuple',
    no_train: "got no part 'train' (parts: training)",
    arrays: "expected tensors in the part 'train', got ndarray; use torch.as_tensor",
    uneven: "to lead with the same number of examples, at least 1, got the shapes [3, 12], [4]",
    failing: "ValueError: no such file in ",
}


@pytest.mark.parametrize("data", DATA, ids=lambda data: data.__name__)
def test_data_with_a_mistake_is_refused(data):
    text = refusal(data=data)
    assert re.match(rf"{data.__name__} {FILE}: ", text)
    assert DATA[data] in text


def test_missing_files_are_reported_as_such(tmp_path):
    def missing(folder):
        return torch.load(folder / "digits.pt")

    task = make(data=missing)
    with pytest.raises(FileNotFoundError, match=r"missing \(test_stacked_refusals.py:\d+\): FileN"):
        task.prepare(task.settings(), tmp_path)


def test_a_batch_larger_than_the_data_is_refused():
    task = make()
    with pytest.raises(ValueError, match=r"batch_size must be in 1..40, the examples, got 64"):
        task.prepare(task.settings(batch_size=64), None)


def test_a_check_leaves_the_generators_as_they_were():
    task = make()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    task.prepare(task.settings(batch_size=8), None)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


def test_an_error_of_memory_is_not_taken_for_a_mistake():
    def exhausting(model, batch, noise):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        start(make(loss=exhausting), [0])
