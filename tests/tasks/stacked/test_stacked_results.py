"""What losses, evaluations and data must not return: refused before step 1, in one line."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from stacked_models import MODELS, loss, make, mlp, refusal, start, vectors
from torch import nn
from torch.nn.functional import cross_entropy

from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.stacked.data import load

FILE = r"\(test_stacked_results.py:\d+\)"


OTHER = mlp()


def of_another_module(model, batch, noise):
    x, y = batch
    return cross_entropy(OTHER(x), y)


def per_example(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y, reduction="none")


def a_number(model, batch, noise):
    return 1.5


def nothing(model, batch, noise):
    loss(model, batch, noise)


def by_name(model, batch, noise):
    return {"train_loss": loss(model, batch, noise)}


def counting_errors(model, batch, noise):
    x, y = batch
    return (model(x).argmax(1) != y).sum()


def with_a_backward_pass(model, batch, noise):
    value = loss(model, batch, noise)
    value.backward()
    return value


def with_a_gradient(model, batch, noise):
    value = loss(model, batch, noise)
    torch.autograd.grad(value, list(model.parameters()))
    return value


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
    a_number: "expected the loss to be a tensor with one number, or (loss, {name: metric}), got "
    "float; return the tensor itself, without .item() or float()",
    nothing: "got nothing; end the function with return loss",
    by_name: "got dict; return (loss, {name: metric}), the loss first",
    counting_errors: "got a tensor int64 of the shape []; return a floating point tensor that "
    "depends smoothly on the parameters",
    with_a_backward_pass: "calls backward() by itself; return the loss, whose gradient raysweep "
    "takes",
    with_a_gradient: "RuntimeError: Trying to backward through the graph a second time",
    of_constants: "the loss has no gradient by the module's parameters; compute it from the module",
    of_another_module: "the loss has no gradient by the module's parameters",
    undeclared: "got the metric 'accuracy', which is not declared; add it to the metrics of "
    "stacked_task (declared: train_loss, train_other)",
    renamed: "the metric 'train_loss' is the loss itself; give another name",
    of_vectors: "expected the metric 'train_other' to be a tensor with one number, got a tensor "
    "float32 of the shape [8, 12]",
    three: "expected the loss to be a tensor with one number, or (loss, {name: metric}), got "
    "tuple; return (loss, {name: metric}), the loss first",
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


def on_meta(folder):
    return {"train": torch.zeros(3, 12, device="meta")}


DATA = {
    no_parts: 'expected {"train": (x, y), ...}, tensors that lead with the examples, got tuple',
    no_train: "got no part 'train' (parts: training)",
    arrays: "expected tensors in the part 'train', got ndarray; use torch.as_tensor",
    uneven: "to lead with the same number of examples, at least 1, got the shapes [3, 12], [4]",
    failing: "ValueError: no such file in ",
    on_meta: "NotImplementedError: Cannot copy out of meta tensor",
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
    with pytest.raises(FileNotFoundError, match=r"missing \(test_stacked_results.py:\d+\): FileN"):
        task.prepare(task.settings(), tmp_path)


def test_a_batch_larger_than_the_data_is_refused():
    task = make()
    with pytest.raises(ValueError, match=r"batch_size must be in 1..40, the examples, got 64"):
        task.prepare(task.settings(batch_size=64), None)


def test_data_is_read_once_for_each_folder_and_setting(tmp_path, monkeypatch):
    calls = []

    def counted(folder, *, examples: int = 40):
        calls.append((folder, examples))
        x, y = vectors(folder)["train"]
        return {"train": (x[:examples], y[:examples])}

    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    task = make(data=counted)
    task.prepare(task.settings(batch_size=8), tmp_path)
    start(task, [0], dtype="float32").advance(1)
    assert calls == [(tmp_path, 40)]
    assert start(task, [0], dtype="float32", examples=16).window == 2
    assert calls == [(tmp_path, 40), (tmp_path, 16)]


def test_data_that_is_drawn_is_the_same_in_every_process():
    def drawn(folder):
        return {"train": (torch.randn(40, 12), torch.randint(3, (40,)))}

    first = load(drawn, Path(), (), torch.float64, torch.device("cpu"))
    torch.rand(())  # another process is in another state
    load.cache_clear()
    state = torch.get_rng_state()
    second = load(drawn, Path(), (), torch.float64, torch.device("cpu"))
    assert torch.equal(first.parts["train"][0], second.parts["train"][0])
    assert torch.equal(torch.get_rng_state(), state)


def exiting(role, *code):
    def build():
        raise SystemExit(*code)  # as sys.exit, which some libraries replace

    def data(folder):
        raise SystemExit(*code)  # as sys.exit, which some libraries replace

    def loss(model, batch, noise):
        raise SystemExit(*code)  # as sys.exit, which some libraries replace

    def evaluate(model, data):
        raise SystemExit(*code)  # as sys.exit, which some libraries replace

    return {"build": build, "data": data, "loss": loss, "evaluate": evaluate}[role]


@pytest.mark.parametrize("code", [(), (3,), ("no\ndata",)])
@pytest.mark.parametrize("role", ["build", "data", "loss", "evaluate"])
def test_a_function_that_exits_is_refused_at_its_line(role, code):
    function = exiting(role, *code)
    line = function.__code__.co_firstlineno + 1
    given = ", ".join(map(repr, code))
    assert refusal(**{role: function}) == (
        f"{role} (test_stacked_results.py:{line}): called sys.exit({given}); raise an error instead"
    )


def test_floating_point_data_has_the_format_of_the_run():
    def checked(model, batch, noise):
        x, y = batch
        assert (x.dtype, y.dtype) == (model[0].weight.dtype, torch.int64)
        return loss(model, batch, noise)

    for dtype in ("float32", "float64"):
        start(make(loss=checked), [0, 1], dtype=dtype).advance(1)
