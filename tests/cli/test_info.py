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
from raysweep.tasks.vae.categorical import CategoricalVae
from raysweep.testing.tasks import check_task
from raysweep.testing.toy import Toy, Walk


def output(*words, code=0):
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code
    return result.output


@pytest.mark.parametrize(
    "name", [*tasks.names(), *estimators.names(), *estimators.names("layered"), "tpe", "asha"]
)
def test_the_list_of_names_has_every_name(name):
    assert name in output("info")


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_is_explained_with_its_settings_and_metrics(name):
    text = output("info", name)
    for setting in registry.task_settings(name).values():
        assert f"\n{setting.name} " in text
    for metric in registry.task(name).metrics.values():
        assert metric.meaning in text


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in registry.families() for name in estimators.names(family)],
)
def test_an_estimator_is_explained_with_its_settings(family, name):
    text = output("info", name).partition(f"estimator {name} ({family})\n")[2]
    text = text.partition(f"\nestimator {name} (")[0]
    for setting in registry.estimator_settings(family, name).values():
        assert f"\n{setting.name} " in text


def test_a_name_of_two_families_is_explained_for_both():
    text = output("info", "rebar")
    assert text.startswith("estimator rebar (categorical)\n")
    assert "\nestimator rebar (layered)\n" in text


def test_the_list_of_names_has_a_list_for_every_family():
    text = output("info")
    for family in registry.families():
        part = text.partition(f"\nestimators ({family})\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in part.splitlines()] == sorted(estimators.names(family))


@pytest.mark.parametrize("family", registry.families())
def test_a_family_is_explained_by_its_tasks_and_estimators(family):
    text = output("info", family)
    for name in estimators.names(family):
        assert f"\n  {name} " in text
    takers = [name for name in tasks.names() if registry.task(name).family == family]
    assert set(takers) <= set(text.partition("Tasks: ")[2].partition(".\n")[0].split(", "))
    assert f"those of the family {family}." in output("info", takers[0])


def test_a_setting_names_the_family_of_an_estimator_with_a_namesake():
    assert "rebar (layered)" in output("info", "passes")
    assert "\ntanh " in output("info", "slope")


@pytest.mark.parametrize(
    ("task", "name", "family", "own"),
    [
        ("polynomial", "psa", "layered", "categorical"),
        ("sbn_gradient_quality", "reinmax", "categorical", "layered"),
    ],
)
def test_a_check_refuses_an_estimator_of_another_family(task, name, family, own):
    result = CliRunner().invoke(cli, ["check", task, "--estimator", name])
    line = f"{task}: estimator {name} is of the family {family}; the task {task} takes {own} ones"
    assert str(result.exception) == line


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


@pytest.mark.parametrize(
    "name", [*tasks.names(), "rebar", "reinmax", "lr", "hidden", "active_units"]
)
def test_an_explanation_keeps_to_the_width_of_the_terminal(monkeypatch, name):
    whole = output("info", name)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = output("info", name)
    assert max(map(len, narrow.splitlines())) <= 80
    assert {*whole.split()} <= {*narrow.split()}


def test_the_list_of_names_keeps_to_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, output("info").splitlines())) <= 80


def test_values_are_explained_as_a_sweep_file_has_them():
    (row,) = (line for line in output("info", "gmm").splitlines() if line.startswith("nesterov"))
    assert row.split()[1:5] == ["false", "|", "true", "false"]
    assert "[512, 256]" in output("info", "categorical_vae")
    assert "None" not in output("info", "categorical_vae")


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
    command = cli.commands[name]
    parts = [command, *getattr(command, "commands", {}).values()]
    options = {option for part in parts for parameter in part.params for option in parameter.opts}
    assert {word for word in EXAMPLES[name].split() if word.startswith("--")} <= options


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "raysweep", "--version"]
    assert "version" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


DATA = {"dataset": "digits", "hidden": (8,), "batch_size": 10}
SMALL = {
    "categorical_vae": {**DATA, "latents": 2},
    "bernoulli_vae": {**DATA, "latents": 4, "validation_examples": 10},
    "listops": {
        "training_set": "generated",
        "test_set": "generated",
        "training_examples": 40,
        "validation_examples": 5,
        "evaluation_examples": 100,
        "max_tokens": 25,
        "embedding_units": 3,
        "hidden_units": 3,
        "classifier_units": 3,
        "batch_size": 4,
    },
    "sbn_generative": {**DATA, "latents": (4, 3), "validation_examples": 10},
    "sbn_structured": {**DATA, "latents": (4, 3), "validation_examples": 10},
}


@pytest.mark.parametrize("name", ["polynomial", "gmm", "toy", *SMALL])
def test_tasks_of_our_own_pass_the_check(name):
    assert check_task(name, **SMALL.get(name, {})) == []


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("vimco", "p=2", "vimco estimates the bound of K samples, for losses that"),
        ("reinmax", "final_temperature=0.5", "final_temperature with reinmax: temperature must be"),
    ],
)
def test_a_check_refuses_a_pair_that_sweep_files_refuse(name, setting, reason):
    result = CliRunner().invoke(cli, ["check", "polynomial", "--estimator", name, "--set", setting])
    assert str(result.exception).startswith(f"polynomial: {reason}")


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


THREE_CATEGORIES = {**SMALL["categorical_vae"], "categories": 3}


def test_a_task_that_accepts_estimators_of_other_categories_is_found(monkeypatch):
    monkeypatch.setattr(CategoricalVae, "check", lambda *_: None)
    problems = check_task("categorical_vae", "straight_through", **THREE_CATEGORIES)
    (line,) = problems
    assert line.startswith("refuses estimators: check accepts arm, arms, disarm, ")
    assert line.endswith(
        "which cannot train here (arm needs 2 categories, got 3; use an estimator for any C); let "
        "it return estimator.check(latents, categories)"
    )


def test_a_task_whose_first_estimator_cannot_train_is_found(monkeypatch):
    """The first by name is `arm`, whose training raises an error at once."""
    monkeypatch.setattr(CategoricalVae, "check", lambda *_: None)
    (line,) = check_task("categorical_vae", **THREE_CATEGORIES)
    assert "check accepts arm, arms, disarm, " in line


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
    defaults = {
        registry.task_settings(name)["training.lr"].default for name in registry.task_names()
    }
    assert output("info", "lr").count("learning rate, > 0") == len(defaults)


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


@pytest.mark.parametrize("hidden", ["[64, 32]", "{value: [64, 32]}"])
def test_a_list_to_check_with_has_the_form_of_a_value_or_of_a_sweep_file(monkeypatch, hidden):
    given = {}
    monkeypatch.setattr(
        "raysweep.testing.tasks.check_task", lambda *_, **settings: given.update(settings) or []
    )
    output("check", "categorical_vae", "--set", f"hidden={hidden}")
    assert given == {"hidden": (64, 32)}


def test_the_name_of_a_sweep_is_not_a_sweep_file():
    result = CliRunner().invoke(cli, ["run", "quickstart"])
    assert "no such file; give a sweep file, not the name of a sweep" in str(result.exception)
