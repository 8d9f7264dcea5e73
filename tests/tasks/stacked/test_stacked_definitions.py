"""Definitions of stacked tasks: settings, metrics, mistakes in one line, and pickling."""

import importlib
import linecache
import pickle
import re
import subprocess
import sys
import textwrap

import cloudpickle
import pytest
import torch
from stacked_models import accuracy, loss, make, mlp, start, vectors
from torch import nn

from raysweep import registry
from raysweep.tasks.base import NO_FAMILY, Metric, Task
from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.stacked.task import StackedTask, stacked_task

FILE = r"\(test_stacked_definitions.py:\d+\)"
METRICS = {"train_loss": "min", "test_accuracy": Metric("max", "", "share of right classes")}


def sized(*, hidden: int = 16, lr: float = 0.02, optimizer: str = "sgd") -> nn.Module:
    """A network with one hidden layer."""
    return nn.Sequential(nn.Linear(12, hidden), nn.ReLU(), nn.Linear(hidden, 3))


def scaled(model, batch, noise, *, scale: float = 1.0, repeats: int = 1, hard: bool = False):
    return loss(model, batch, noise) * scale * repeats


def of_scale(model, data, *, scale: float = 1.0):
    return accuracy(model, data)


def folder_data(folder, *, share: float = 1.0):
    return vectors(folder)


@pytest.fixture
def task():
    return make(sized, folder_data, scaled, of_scale, METRICS)


def test_a_function_becomes_a_task_of_its_name(task):
    assert isinstance(task, StackedTask)
    assert isinstance(task, Task)
    assert (task.name, task.version, task.family) == ("sized", 1, NO_FAMILY)
    assert type(task).__doc__ == "A network with one hidden layer."
    assert type(task).__module__ == __name__
    assert task.metrics["train_loss"] == Metric("min", "", "")
    assert task.metrics["test_accuracy"].meaning == "share of right classes"


def test_arguments_of_all_functions_are_settings(task):
    with registry.added([task]):
        settings = registry.task_settings("sized")
    assert {key for key in settings if key.startswith("task.")} == {
        f"task.{name}" for name in ("hidden", "scale", "repeats", "hard", "share")
    }
    assert settings["task.hidden"].default == 16
    assert {"training.steps", "training.batch_size", "training.dtype"} <= set(settings)


def test_floats_of_loss_and_evaluation_alone_may_differ_in_a_pack(task):
    with registry.added([task]):
        settings = registry.task_settings("sized")
    per_replica = {key for key, setting in settings.items() if setting.per_replica}
    assert {key for key in per_replica if key.startswith("task.")} == {"task.scale"}
    assert {"training.lr", "training.weight_decay", "training.beta1"} <= per_replica


def test_an_argument_named_as_a_setting_of_training_replaces_its_default(task):
    with registry.added([task]):
        settings = registry.task_settings("sized")
    assert settings["training.lr"].default == 0.02
    assert settings["training.optimizer"].default == "sgd"
    assert (
        settings["training.optimizer"].type
        == registry.training_settings()["training.optimizer"].type
    )
    assert "task.lr" not in settings


def test_the_module_of_a_run_gets_its_own_learning_rate():
    seen = []

    def rated(*, lr: float = 0.02):
        seen.append(lr)
        return mlp()

    start(make(rated), [0, 1], [{"lr": 0.1}, {"lr": 0.2}])
    assert seen[-2:] == [0.1, 0.2]


def positional(hidden: int = 3):
    return mlp()


def untyped(*, hidden=3):
    return mlp()


def without_default(*, hidden: int):
    return mlp()


def two_arguments(model, batch):
    return loss(model, batch, None)


def other_default(model, batch, noise, *, hidden: int = 3):
    return loss(model, batch, noise)


def other_type(model, data, *, scale: int = 1):
    return {}


def whole_rate(*, lr: int = 1):
    return mlp()


def negative_rate(*, lr: float = -1.0):
    return mlp()


def unknown_rule(*, optimizer: str = "lion"):
    return mlp()


async def waiting(model, batch, noise):
    return loss(model, batch, noise)


def yielding(model, data):
    yield {}


MISTAKES = {
    "an argument before the star": (
        {"build": positional},
        "expected the arguments (*, setting: type = default), got hidden before the *",
    ),
    "no type": ({"build": untyped}, "the setting 'hidden' has no type; write hidden: TYPE ="),
    "no default": ({"build": without_default}, "the setting 'hidden' has no default; write"),
    "async def": ({"loss": waiting}, "expected a plain function, got async def; write def waiting"),
    "a generator": (
        {"evaluate": yielding},
        "expected a plain function, got a generator, with yield; use return",
    ),
    "too few arguments": (
        {"loss": two_arguments},
        "expected the arguments (model, batch, noise, *, setting: type = default), got no noise",
    ),
    "two defaults": (
        {"build": sized, "loss": other_default},
        "the setting 'hidden' is int = 3, but int = 16 in sized (test_stacked_definitions.py:",
    ),
    "two types": (
        {"loss": scaled, "evaluate": other_type},
        "the setting 'scale' is int = 1, but float = 1.0 in scaled",
    ),
    "a type of training": (
        {"build": whole_rate},
        "the setting 'lr' of training has the type float, got int; write lr: float, or use",
    ),
    "a default of training": ({"build": negative_rate}, "the defaults do not fit: lr must be posi"),
    "an unknown optimizer": (
        {"build": unknown_rule},
        "expected 'optimizer' to be one of adam, radam, sgd, got 'lion'",
    ),
    "no loss among the metrics": (
        {"metrics": {"test_loss": "min"}},
        'expected "train_loss": "min" among the metrics, as the loss is reported by this name; got',
    ),
    "a loss to maximise": ({"metrics": {"train_loss": "max"}}, 'expected "train_loss": "min"'),
    "a list of metrics": (
        {"metrics": ["train_loss"]},
        'expected metrics={"train_loss": "min"}, got metrics=[\'train_loss\']',
    ),
    "a direction": (
        {"metrics": {"train_loss": "min", "other": "up"}},
        "expected 'min' or 'max' for the metric 'other', got 'up'",
    ),
    "a metric's name": (
        {"metrics": {"train_loss": "min", "test loss": "min"}},
        "expected the name of a metric such as train_loss, got 'test loss'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_definition_is_one_line_with_its_place(mistake):
    functions, message = MISTAKES[mistake]
    with pytest.raises(TaskMistake) as caught:
        make(**functions)
    assert re.match(rf"\w+ ({FILE}|\(stacked_models.py:\d+\)): ", str(caught.value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, 1.5, True, "2"])
def test_a_version_is_a_whole_number(version):
    with pytest.raises(TaskMistake, match=f"expected version to be at least 1, got {version!r}"):
        stacked_task(loss=loss, data=vectors, metrics={"train_loss": "min"}, version=version)(mlp)


@pytest.mark.parametrize("function", [mlp(), nn.Linear, 3])
def test_something_else_than_a_function_is_refused(function):
    with pytest.raises(TaskMistake, match="expected build to be a function, got"):
        make(function)


def test_a_task_can_be_called_for_its_module():
    module = make(sized)(hidden=5)
    assert module[0].out_features == 5


def test_a_pickled_task_trains_the_same(task):
    copy = pickle.loads(cloudpickle.dumps(task))
    assert (copy.name, copy.version, copy.metrics) == (task.name, task.version, task.metrics)
    one, two = (start(each, [0, 1]).advance(3)["train_loss"] for each in (task, copy))
    assert torch.equal(one, two)


SCRIPT = """
import sys, cloudpickle, torch
from torch import nn
from raysweep.tasks.stacked import NO_NOISE
from raysweep.tasks.stacked.task import stacked_task

WIDTH = 12

class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, hidden), nn.Linear(hidden, 3)

    def forward(self, x, noise=NO_NOISE):
        return self.last(noise.dropout(torch.relu(self.first(x)), 0.1))

def data(folder):
    x = torch.linspace(0, 1, 20 * WIDTH).reshape(20, WIDTH)
    return {"train": (x, torch.arange(20) % 3)}

def loss(model, batch, noise, *, scale: float = 1.0):
    x, y = batch
    return nn.functional.cross_entropy(model(x, noise), y) * scale

def evaluate(model, data):
    x, y = data["train"]
    return {"train_accuracy": (model(x).argmax(1) == y).float().mean()}

@stacked_task(
    loss=loss, data=data, evaluate=evaluate,
    metrics={"train_loss": "min", "train_accuracy": "max"}, version=3,
)
def net(*, hidden: int = 8) -> nn.Module:
    return Net(hidden)

sys.stdout.buffer.write(cloudpickle.dumps(net))
"""


def test_a_task_of_a_script_can_be_pickled_for_other_processes(tmp_path):
    script = tmp_path / "sweep.py"
    script.write_text(textwrap.dedent(SCRIPT))
    made = subprocess.run([sys.executable, script], capture_output=True, check=True)
    task = pickle.loads(made.stdout)
    assert (task.name, task.version) == ("net", 3)
    training = start(task, [0, 1])
    assert training.advance(2)["train_loss"].shape == (2,)
    assert training.evaluate()["train_accuracy"].shape == (2,)


def test_a_task_of_a_module_can_be_pickled_in_place_of_its_function(tmp_path, monkeypatch):
    source = SCRIPT.replace("sys.stdout.buffer.write(cloudpickle.dumps(net))", "")
    (tmp_path / "nets_of_a_user.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("nets_of_a_user")
    task = pickle.loads(cloudpickle.dumps(module.net))
    assert isinstance(module.net, StackedTask)
    one, two = (start(each, [0, 1]).advance(3)["train_loss"] for each in (task, module.net))
    assert torch.equal(one, two)


def test_the_text_of_a_script_is_known_for_the_store(monkeypatch):
    main = {"__name__": "__main__"}
    source = "def net():\n    return mlp()\n"
    assert make(mlp).source == ""
    exec(compile(source, "cell", "exec"), main)
    linecache.cache["cell"] = len(source), None, source.splitlines(keepends=True), "cell"
    monkeypatch.setitem(sys.modules["__main__"].__dict__, "net", main["net"])
    assert make(main["net"]).source == source
