"""A task takes the estimators of its family; a file may have tasks of several."""

import pytest
from click.testing import CliRunner

from raysweep import registry
from raysweep.cli.main import cli
from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

CATEGORICAL = {"quad": {"task": "polynomial", "latents": 8}}
LAYERED = {"points": {"task": "sbn_gradient_quality"}}
BOTH = {**CATEGORICAL, **LAYERED}


def read(tasks, **estimators):
    return read_spec({"name": "both", "tasks": tasks, "estimators": estimators, "seeds": 1})


@pytest.mark.parametrize(
    ("tasks", "name", "message"),
    [
        (
            CATEGORICAL,
            "psa",
            "estimator psa is of the family layered; the task polynomial takes categorical ones; "
            "restrict it to others with tasks: [...]",
        ),
        (
            LAYERED,
            "reinmax",
            "estimator reinmax is of the family categorical; the task sbn_gradient_quality takes "
            "layered ones; restrict it to others with tasks: [...]",
        ),
    ],
)
def test_an_estimator_of_another_family_is_refused_in_one_line(tasks, name, message):
    with pytest.raises(SpecError) as caught:
        read(tasks, a={"estimator": name})
    (problem,) = caught.value.problems
    assert problem.partition(": line ")[2].partition(": ")[2] == message


def test_the_plan_of_a_file_refuses_it_too(tmp_path):
    file = tmp_path / "both.yaml"
    sections = "tasks: {a: {task: polynomial}}\nestimators: {b: {estimator: psa}}"
    file.write_text(f"name: both\n{sections}\nseeds: 1\n")
    result = CliRunner().invoke(cli, ["plan", str(file), "--store", str(tmp_path)])
    assert "line 3: estimator psa is of the family layered; the task poly" in str(result.exception)


def test_two_tasks_of_a_name_are_one_mistake():
    tasks = {"a": CATEGORICAL["quad"], "b": CATEGORICAL["quad"]}
    with pytest.raises(SpecError) as caught:
        read(tasks, a={"estimator": "psa"})
    assert len(caught.value.problems) == 1


def test_an_unknown_estimator_is_refused_with_the_nearest_of_all_families():
    with pytest.raises(SpecError, match=r"unknown estimator 'psaa'; did you mean 'psa'\?"):
        read(CATEGORICAL, a={"estimator": "psaa"})


def test_a_name_of_both_families_has_each_tasks_settings():
    arms = read(BOTH, a={"estimator": "rebar", "temperature": 0.3}).arms
    by_task = {arm.task: set(arm.space) for arm in arms}
    assert "estimator.coupled" in by_task["polynomial"]
    assert "estimator.passes" in by_task["sbn_gradient_quality"]
    assert all("estimator.temperature" in space for space in by_task.values())


def test_a_setting_of_one_family_needs_its_tasks():
    with pytest.raises(SpecError, match="unknown setting 'passes' of estimator 'rebar'"):
        read(BOTH, a={"estimator": "rebar", "passes": "layers"})
    (arm,) = read(BOTH, a={"estimator": "rebar", "passes": "layers", "tasks": ["points"]}).arms
    assert arm.task == "sbn_gradient_quality"


@pytest.mark.parametrize("setting", [{"passes": "layers"}, {"coupled": False}], ids=str)
def test_settings_of_either_family_are_right_beside_a_broken_task(setting):
    with pytest.raises(SpecError) as caught:
        read({"a": {"task": "polynomal"}}, b={"estimator": "rebar", **setting})
    assert len(caught.value.problems) == 1


def test_families_of_a_name_are_known():
    assert registry.families_of("rebar") == ("categorical", "layered")
    assert registry.families_of("psa") == ("layered",)
    assert registry.families_of("nowhere") == ()
