"""Names of sweep files are explained, help is in sections, and tasks are checked."""

import re
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from raysweep import estimators, registry, tasks
from raysweep.cli.help import EXAMPLES, GROUPS
from raysweep.cli.main import cli
from raysweep.testing.tasks import check_task
from raysweep.testing.toy import Toy, Walk


def output(*words, code=0):
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code
    return result.output


@pytest.mark.parametrize("name", [*tasks.names(), *estimators.names(), "tpe", "asha"])
def test_the_list_of_names_has_every_name(name):
    assert name in output("info")


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_is_explained_with_its_settings_and_metrics(name):
    text = output("info", name)
    for setting in registry.task_settings(name).values():
        assert f"\n{setting.name} " in text
    for metric in registry.task(name).metrics.values():
        assert metric.meaning in text


@pytest.mark.parametrize("name", estimators.names())
def test_an_estimator_is_explained_with_its_settings(name):
    text = output("info", name)
    for setting in registry.estimator_settings("categorical", name).values():
        assert f"\n{setting.name} " in text


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("lr", "learning rate, > 0"),
        ("training.lr", "learning rate, > 0"),
        ("temperature", "estimator.temperature"),
        ("test_neg_elbo", "nats"),
        ("tpe", "TPESampler of Optuna"),
        ("asha", "grace, reduction"),
    ],
)
def test_a_setting_metric_sampler_or_pruner_is_explained(name, part):
    assert part in output("info", name)


def test_an_unknown_name_is_refused_with_the_nearest():
    result = CliRunner().invoke(cli, ["info", "polynomal"])
    assert "did you mean 'polynomial'" in str(result.exception)


def test_help_lists_every_command_once():
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(cli.commands)


def test_help_cuts_no_line():
    text = output("--help").partition("Run:")[2]
    assert "..." not in text
    for command in cli.commands.values():
        assert command.get_short_help_str(limit=1000).split()[-1] in text


@pytest.mark.parametrize("name", cli.commands)
def test_help_of_a_command_ends_with_an_example(name):
    assert f"Example: raysweep {name}" in " ".join(output(name, "--help").split())
    options = {option for parameter in cli.commands[name].params for option in parameter.opts}
    assert {word for word in EXAMPLES[name].split() if word.startswith("--")} <= options


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "raysweep", "--version"]
    assert "version" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


DATA = {"dataset": "digits", "hidden": (8,), "batch_size": 10}
SMALL = {
    "categorical_vae": {**DATA, "latents": 2},
    "bernoulli_vae": {**DATA, "latents": 4, "validation_examples": 10},
}


@pytest.mark.parametrize("name", ["polynomial", "gmm", "toy", *SMALL])
def test_tasks_of_our_own_pass_the_check(name):
    assert check_task(name, **SMALL.get(name, {})) == []


def test_a_check_says_that_all_is_right():
    assert output("check", "toy", "--set", "noise=0.2").startswith("toy: alone and in packs, ")


def wrong_shape(self, steps):
    self.step += steps
    return {"train_loss": self.x.mean()}


def wrong_name(self, steps):
    self.step += steps
    return {"loss": self.x}


def wrong_type(self, steps):
    self.step += steps
    return self.x


def no_step(self, steps):
    return {"train_loss": self.x}


def depends_on_others(self, steps):
    self.step += steps
    self.x = self.x + self.x.mean()
    return {"train_loss": self.x}


def random(self, steps):
    self.step += steps
    self.x = torch.rand(len(self.seeds), dtype=torch.float64)
    return {"train_loss": self.x}


BROKEN = {
    wrong_shape: r"advance returned 'train_loss' with the shape \[\]; expected .* the shape \[3\]",
    wrong_name: "the metric 'loss', which the task does not declare; .* train_loss, distance",
    wrong_type: "advance must return a mapping of metrics, got Tensor",
    no_step: r"advance\(2\) must raise step from 0 to 2, got step 0",
    depends_on_others: "runs alone as in a pack: a run differs from the same run in a pack of 3",
    random: "repeats: two runs of the same seeds differ, in train_loss",
}


@pytest.mark.parametrize("advance", BROKEN, ids=lambda one: one.__name__)
def test_the_check_says_in_words_what_is_wrong(monkeypatch, advance):
    monkeypatch.setattr(Walk, "advance", advance)
    assert re.search(BROKEN[advance], "\n".join(check_task("toy")))


def test_a_state_that_leaves_something_out_is_found(monkeypatch):
    monkeypatch.setattr(Walk, "state_dict", lambda self: {"step": self.step, "x": self.x * 0})
    assert any("resumed training differs" in problem for problem in check_task("toy"))


def test_an_evaluation_with_an_effect_is_found(monkeypatch):
    def evaluate(self):
        self.x = self.x + 1
        return {}

    monkeypatch.setattr(Walk, "evaluate", evaluate)
    assert any("differs after evaluate" in problem for problem in check_task("toy"))


def test_runs_that_are_dropped_wrongly_are_found(monkeypatch):
    real = Walk.select
    monkeypatch.setattr(Walk, "select", lambda self, keep: real(self, torch.tensor([0, 1])))
    assert any("differ after select" in problem for problem in check_task("toy"))


def test_a_task_that_refuses_every_estimator_is_said(monkeypatch):
    monkeypatch.setattr(Toy, "check", lambda *_: "not today")
    result = CliRunner().invoke(cli, ["check", "toy"])
    assert "refuses every estimator; " in str(result.exception)


def test_a_task_that_raises_is_said_once_with_its_line(monkeypatch):
    def advance(self, steps):
        return self.targets

    monkeypatch.setattr(Walk, "advance", advance)
    (problem,) = check_task("toy")
    assert re.search(r"raised AttributeError: .*'targets' \(test_info\.py:\d+\)", problem)


def test_a_setting_of_many_tasks_is_explained_once():
    defaults = {registry.task_settings(name)["training.lr"].default for name in tasks.names()}
    assert output("info", "lr").count("learning rate, > 0") == len(defaults) < len(tasks.names())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pp=2", "expected a setting of polynomial, got 'pp'; did you mean 'p'"),
        ("p=abc", "p: expected a number, got 'abc'"),
        ("p", "expected SETTING=VALUE, got 'p'"),
    ],
)
def test_a_setting_to_check_with_is_read_as_in_a_sweep_file(change, message):
    result = CliRunner().invoke(cli, ["check", "polynomial", "--set", change])
    assert message in str(result.exception)


def test_the_name_of_a_sweep_is_not_a_sweep_file():
    result = CliRunner().invoke(cli, ["run", "quickstart"])
    assert "no such file; give a sweep file, not the name of a sweep" in str(result.exception)
