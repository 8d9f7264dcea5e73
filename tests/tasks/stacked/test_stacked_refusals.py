"""Modules that cannot be stacked: refused before step 1, in one line."""

import random
import re

import numpy as np
import pytest
import torch
from stacked_models import make, refusal, start
from torch import nn
from torch.nn.functional import cross_entropy

FILE = r"\(test_stacked_refusals.py:\d+\)"


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


def hiding(self, h):
    self._last = h
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


class Listed(nn.Module):
    """A module that holds others in a plain list."""

    def __init__(self, held, *, registered=None):
        super().__init__()
        self.scores, self.held, self.registered = nn.Linear(12, 3), held, registered

    def forward(self, x):
        return self.scores(x)


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method.* is deprecated")  # of torch.compile's import
def test_a_compiled_module_is_refused():
    def compiled():
        return torch.compile(nn.Linear(12, 3))

    text = refusal(build=compiled)
    assert "the module OptimizedModule is compiled; return it without torch.compile" in text


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


def with_a_list():
    return Listed([nn.ReLU(), nn.Linear(3, 3)])


def with_a_dict():
    return Listed({"last": nn.Linear(3, 3)})


def with_parameters_in_a_tuple():
    return Listed((nn.Parameter(torch.zeros(3)),))


def with_tensors_in_a_list():
    return Listed([torch.zeros(3)])


def on_meta():
    return nn.Linear(12, 3, device="meta")


def with_a_buffer_on_meta():
    module = Cell()
    module.register_buffer("table", torch.zeros(3, device="meta"))
    return module


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
    with_a_list: "the module Listed holds a module in the list 'held', where it is not trained; "
    "use torch.nn.ModuleList",
    with_a_dict: "holds a module in the dict 'held', where it is not trained; use "
    "torch.nn.ModuleDict",
    with_parameters_in_a_tuple: "holds a parameter in the tuple 'held', where it is not trained; "
    "use torch.nn.ParameterList",
    with_tensors_in_a_list: "holds a tensor in the list 'held'; use self.register_buffer for it",
    on_meta: "weight is on the device meta, without numbers; build the module on the CPU",
    with_a_buffer_on_meta: "table is on the device meta, without numbers",
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


def test_a_list_of_parts_that_are_registered_too_is_accepted():
    def twice_held():
        part = nn.Linear(3, 3)
        return Listed([part], registered=part)

    start(make(twice_held), [0, 1]).advance(1)


def test_a_frozen_part_in_a_list_is_accepted():
    teacher = nn.Linear(3, 3).requires_grad_(False)

    def with_a_teacher():
        return Listed([teacher])

    start(make(with_a_teacher), [0, 1]).advance(1)


FORWARDS = {
    "a buffer in place": (counting, "changes count of the module, but from step to step"),
    "a buffer replaced": (replacing, "changes count of the module, but from step to step"),
    "an attribute": (remembering, "sets last of the module; return the value instead"),
    "a hidden attribute": (hiding, "sets _last of the module; return the value instead"),
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


DRAWS = "draws random numbers by itself; use noise.dropout(x, p), noise.uniform(*shape) or"


def test_a_draw_in_a_module_is_refused_at_its_line():
    def drawing(self, h):
        return h + torch.randn_like(h)

    def module():
        return Cell(forward=drawing)

    line = drawing.__code__.co_firstlineno + 1
    text = refusal(build=module, loss=own_loss)
    assert text.startswith(f"own_loss (test_stacked_refusals.py:{line}): {DRAWS}")


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
