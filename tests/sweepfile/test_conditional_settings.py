"""Settings that apply only where others have certain values."""

import json
import re

import pytest

import raysweep
from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.search.study import ArmStudy
from raysweep.sweep.outcomes import TrialResult
from raysweep.sweep.runs import Run
from raysweep.sweep.space import Choice, Conditional, Fixed, Range
from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.reader import read_spec

OPTIMIZER, MOMENTUM, NESTEROV = "training.optimizer", "training.momentum", "training.nesterov"
SGD = {"when": {"optimizer": "sgd"}}
TRAINING = {
    "momentum": {**SGD, "choices": [0.5, 0.9]},
    "optimizer": ["adam", "sgd", "radam"],
    "lr": [0.1, 0.2],
}
NESTED = {**TRAINING, "nesterov": {"when": {"momentum": 0.9}, "choices": [True, False]}}
RANDOM = {"sampler": "random", "configurations": 40}
SEARCHED = {**TRAINING, "momentum": {**SGD, "low": 0.5, "high": 0.99}}


def spec_of(training=TRAINING, task=(), estimator=(), **keys):
    return read_spec(
        {
            "name": "conditional",
            "tasks": {"walk": {"task": "toy", **dict(task)}},
            "estimators": {"ST": {"estimator": "straight_through", **dict(estimator)}},
            "training": training,
            "seeds": 1,
            **keys,
        }
    )


def arm_of(training=TRAINING, **keys):
    return spec_of(training, **keys).arms[0]


def ids_of(arm):
    return {Run(arm.configuration(cell), 0).run_id for cell in arm.cells()}


# What the file may say.


@pytest.mark.parametrize(
    ("told", "domain"),
    [
        ({"value": 0.5}, Fixed(0.5)),
        ({"choices": [0.5, 0.9]}, Choice((0.5, 0.9))),
        ({"choices": [{"value": 0.5}]}, Fixed(0.5)),
        ({"low": 0.5, "high": 0.9}, Range(0.5, 0.9)),
        ({"low": 0.5, "high": 0.9, "log": True}, Range(0.5, 0.9, log=True)),
    ],
)
def test_a_condition_stands_with_a_value_choices_or_a_range(told, domain):
    arm = arm_of({**TRAINING, "momentum": {**SGD, **told}}, search=RANDOM)
    assert arm.space[MOMENTUM] == Conditional({OPTIMIZER: ("sgd",)}, domain, 0.0)


@pytest.mark.parametrize("place", ["training", "task", "estimator", "overrides"])
def test_a_condition_may_stand_wherever_a_setting_may(place):
    own = {"momentum": {**SGD, "value": 0.5}}
    base = {"optimizer": ["adam", "sgd"]}
    keys = {place: [own] if place == "overrides" else own}
    if place == "training":
        keys = {"training": {**base, **own}}
    assert spec_of(**{"training": base, **keys}).arms[0].space[MOMENTUM].domain == Fixed(0.5)


def test_a_later_value_replaces_a_condition_wholly():
    assert arm_of(overrides=[{"momentum": 0.3}]).space[MOMENTUM] == Fixed(0.3)
    later = {"when": {"lr": 0.1}, "value": 0.3}
    assert set(arm_of(overrides=[{"momentum": later}]).space[MOMENTUM].when) == {"training.lr"}


def test_a_replaced_condition_may_be_on_a_range():
    momentum = {"when": {"lr": 0.1}, "value": 0.3}
    training = {"lr": {"low": 0.1, "high": 1}, "momentum": momentum}
    arm = arm_of(training, overrides=[{"momentum": 0.2}], search=RANDOM)
    assert arm.space[MOMENTUM] == Fixed(0.2)


def test_a_condition_is_of_its_settings_declared_type():
    arm = arm_of({"lr": [1.0, 2.0], "momentum": {"when": {"training.lr": [1]}, "value": 0.5}})
    assert arm.space[MOMENTUM].when == {"training.lr": (1.0,)}


@pytest.mark.parametrize("optimizer", ["adam", ["adam", "radam"]])
def test_a_condition_that_never_holds_leaves_the_default(optimizer):
    arm = arm_of({**TRAINING, "optimizer": optimizer})
    assert arm.space[MOMENTUM] == Fixed(0.0)
    assert ids_of(arm) == ids_of(arm_of({"optimizer": optimizer, "lr": [0.1, 0.2]}))


def test_a_condition_that_always_holds_is_none():
    arm = arm_of({**TRAINING, "optimizer": "sgd"})
    assert arm.space[MOMENTUM] == Choice((0.5, 0.9))


def test_conditions_that_cannot_hold_together_leave_the_default():
    nesterov = {"when": {"momentum": 0.9, "optimizer": "adam"}, "choices": [True, False]}
    assert arm_of({**NESTED, "nesterov": nesterov}).space[NESTEROV] == Fixed(False)


def test_conditions_hold_on_the_values_that_an_arm_has():
    estimators = {"ST": {"estimator": "straight_through"}, "RF": {"estimator": "reinforce"}}
    estimators["ST"]["optimizer"] = "sgd"
    arms = spec_of({**TRAINING, "optimizer": "adam"}, estimators=estimators).arms
    assert [arm.space[MOMENTUM] for arm in arms] == [Choice((0.5, 0.9)), Fixed(0.0)]


def test_a_command_line_value_may_be_conditional():
    spec = {
        "name": "c",
        "tasks": {"w": {"task": "toy", "optimizer": ["adam", "sgd"]}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
    }
    change = "training.momentum={when: {optimizer: sgd}, choices: [0.5, 0.9]}"
    assert read_spec(spec, [change]).arms[0].size == 3


# What the file may not say.

FILE = """
name: broken
tasks:
  walk: {task: toy, size: [1, 2]}
estimators:
  ST: {estimator: straight_through}
training:
  optimizer: [adam, sgd]
  lr: {low: 0.1, high: 1.0}
  beta1: [0.8, 0.9]
  momentum: MOMENTUM
  nesterov: NESTEROV
seeds: 1
search: {sampler: random, configurations: 3}
"""

MISTAKES = {
    "nothing given": ("{when: {optimizer: sgd}}", "expected value, .*'momentum', got {when}"),
    "two forms": ("{when: {beta1: 0.8}, value: 1, choices: [1]}", "got {when, value, choices}"),
    "half a range": ("{when: {beta1: 0.8}, low: 0.1}", "got {when, low}"),
    "unknown key": ("{when: {beta1: 0.8}, valeu: 0.1}", "got {when, valeu}"),
    "one choice bare": ("{when: {beta1: 0.8}, choices: 0.1}", "as a list, got 0.1; .*value"),
    "no choice": ("{when: {beta1: 0.8}, choices: []}", "at least one choice for 'momentum'"),
    "wrong type": ("{when: {beta1: 0.8}, value: much}", "momentum: expected a number, got 'much'"),
    "when is no mapping": ("{when: sgd, value: 0.5}", "when as a mapping.*got 'sgd'"),
    "when is empty": ("{when: {}, value: 0.5}", "when as a mapping.*got {}"),
    "unknown setting": ("{when: {optimiser: sgd}, value: 0.5}", "'optimiser' .*mean 'optimizer'"),
    "wrong value": ("{when: {optimizer: sdg}, value: 0.5}", "optimizer: expected .*got 'sdg'"),
    "no value": ("{when: {optimizer: []}, value: 0.5}", "at least one choice for 'optimizer'"),
    "a range of values": ("{when: {beta1: {low: 0, high: 1}}, value: 0}", "in when, got {low, hi"),
    "itself": ("{when: {momentum: 0.5}, value: 0.5}", "'momentum' to depend .*'momentum' itself"),
    "twice": (
        "{when: {beta1: 0.8, training.beta1: 0.9}, value: 0.5}",
        "each once, got 'training.beta1' again",
    ),
    "a searched range": (
        "{when: {lr: 0.5}, value: 0.5}",
        "depends on training.lr, which is a range",
    ),
}


def problems_of(tmp_path, momentum, nesterov="false", **changes):
    path = tmp_path / "sweep.yaml"
    text = FILE.replace("MOMENTUM", momentum).replace("NESTEROV", nesterov)
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    return [line.partition("sweep.yaml: ")[2] for line in caught.value.problems]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_with_its_line(tmp_path, name):
    momentum, message = MISTAKES[name]
    (line,) = problems_of(tmp_path, momentum)
    assert re.match(rf"line 11: .*{message}", line), line


def test_conditions_in_a_circle_are_told_once(tmp_path):
    (line,) = problems_of(
        tmp_path, "{when: {nesterov: true}, value: 0.5}", "{when: {momentum: 0.5}, value: true}"
    )
    assert line.startswith("line 11: the condition of 'momentum' depends on itself")
    assert f"{MOMENTUM} → {NESTEROV} → {MOMENTUM}" in line


def test_a_condition_on_a_conditional_range_is_a_mistake(tmp_path):
    (line,) = problems_of(
        tmp_path,
        "{when: {optimizer: sgd}, low: 0.1, high: 0.9}",
        "{when: {momentum: 0.5}, value: true}",
    )
    assert "'nesterov' depends on training.momentum, which is a range" in line


def spec_of_a_name_in_two_sections(**when):
    return read_spec(
        {
            "name": "two",
            "tasks": {
                "v": {
                    "task": "categorical_vae",
                    "dataset": "digits",
                    "hidden": [{"value": [64]}, {"value": [64, 32]}],
                }
            },
            "estimators": {"N": {"estimator": "nvil"}},
            "training": {"lr": {"when": when, "value": 0.1}},
            "seeds": 1,
        }
    )


def test_a_name_of_two_sections_is_a_mistake():
    with pytest.raises(
        SpecError, match=r"'hidden' .*ambiguous: task\.hidden or estimator\.hidden;"
    ):
        spec_of_a_name_in_two_sections(hidden={"value": [64]})


def test_a_condition_may_be_on_a_list():
    arm = spec_of_a_name_in_two_sections(**{"task.hidden": {"value": [64]}}).arms[0]
    found = [arm.configuration(cell).settings["training.lr"] for cell in arm.cells()]
    assert found == [0.1, 0.001]


def test_mistakes_in_conditions_are_told_with_all_others(tmp_path):
    found = problems_of(tmp_path, "{when: {optimiser: sgd}, value: 0.5}", "{when: 3, value: true}")
    assert [line[:8] for line in found] == ["line 11:", "line 12:"]


def test_a_conditional_range_is_a_mistake_under_a_grid():
    with pytest.raises(SpecError, match="expected a list of choices for 'momentum' under a grid"):
        spec_of(SEARCHED)


@pytest.mark.parametrize("optimizer", [["adam", "sgd"], ["sgd", "adam"]])
def test_a_value_that_the_task_refuses_is_found_where_it_applies(optimizer):
    momentum = {**SGD, "low": 0.5, "high": 1.5}
    training = {"optimizer": optimizer, "momentum": momentum, "lr": {"low": 0.1, "high": 1}}
    with pytest.raises(SpecError, match=r"momentum must .*1\.5"):
        spec_of(training, search=RANDOM)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"momentum": 0.1}, "a value of 'momentum' inside its range"),
        ({"momentum": 0.6, "optimizer": "adam"}, "'momentum' in first only where its condition"),
    ],
)
def test_a_first_point_outside_a_condition_is_a_mistake(point, message):
    with pytest.raises(SpecError, match=message):
        spec_of(SEARCHED, search={**RANDOM, "first": [point]})


def test_a_first_point_may_name_a_conditional_setting():
    point = {"momentum": 0.6}
    spec = spec_of(SEARCHED, search={**RANDOM, "first": [point]})
    assert spec.arms[0].point(point) == {MOMENTUM: 0.6}


# What it comes to.


def test_a_conditional_range_makes_a_space_infinite():
    assert arm_of(SEARCHED, search=RANDOM).size is None


def test_a_conditional_value_is_not_searched_but_follows():
    arm = arm_of({**TRAINING, "momentum": {**SGD, "value": 0.7}})
    found = {(s[OPTIMIZER], s[MOMENTUM]) for s in map(settings_of(arm), arm.cells())}
    assert MOMENTUM not in arm.searched
    assert found == {("adam", 0.0), ("sgd", 0.7), ("radam", 0.0)}


def settings_of(arm):
    return lambda cell: arm.configuration(cell).settings


def test_where_a_condition_does_not_hold_identities_are_those_without_the_setting():
    plain = arm_of({"optimizer": ["adam", "radam"], "lr": [0.1, 0.2]})
    assert ids_of(plain) < ids_of(arm_of(NESTED))


def test_a_smoke_run_has_the_first_value_of_what_applies():
    training = {**NESTED, "optimizer": ["sgd", "adam"]}
    (arm,) = smoke_spec(spec_of(training)).arms
    assert {type(each) for each in arm.space.values()} == {Fixed}
    assert (arm.space[MOMENTUM], arm.space[NESTEROV]) == (Fixed(0.5), Fixed(False))


def test_a_spec_survives_plain_data():
    spec = spec_of(NESTED)
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again.to_json() == spec.to_json()
    assert ids_of(again.arms[0]) == ids_of(spec.arms[0])


# Searches and results.


def proposals(training, sampler):
    spec = spec_of(
        training, search={"sampler": sampler, "configurations": 14 if sampler == "gp" else 30}
    )
    found, taken = ArmStudy(spec.arms[0], spec.search, spec.select), []
    while (proposal := found.propose()) is not None:
        taken.append(proposal.assignment)
        found.tell(proposal, TrialResult((proposal.assignment.get(MOMENTUM, 1.0),)))
    return taken


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "qmc", "cmaes"])
def test_proposals_hold_only_what_applies(sampler):
    found = proposals(SEARCHED, sampler)
    assert {OPTIMIZER, "training.lr"} <= set.intersection(*map(set, found))
    assert {each[OPTIMIZER] == "sgd" for each in found} == {True, False}
    assert all((MOMENTUM in each) == (each[OPTIMIZER] == "sgd") for each in found)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_small_space_is_used_up(sampler):
    assert len(proposals(NESTED, sampler)) == arm_of(NESTED).size == 10


def test_configurations_of_earlier_sessions_are_taken_over():
    spec = spec_of(SEARCHED, search={**RANDOM, "sampler": "tpe"})
    found = ArmStudy(spec.arms[0], spec.search, spec.select)
    old = {"training.lr": 0.1, OPTIMIZER: "adam"}
    found.add(old, TrialResult((1.0,)))
    adopted = found.adopt({"training.lr": 0.2, OPTIMIZER: "sgd", MOMENTUM: 0.75})
    found.tell(adopted, TrialResult((2.0,)))
    assert [set(trial.params) for trial in found.study.trials] == [
        set(old),
        {*old, MOMENTUM},
    ]
    assert found.study.trials[1].params[MOMENTUM] == 0.75


def test_a_grid_runs_every_configuration_once(tmp_path):
    results = raysweep.run(sweep_of(NESTED), store=tmp_path, inline=True)
    ended = results.runs().to_pylist()
    assert len(ended) == len({row["configuration_id"] for row in ended}) == 10
    cell = results.table().cell("ST", "walk")
    assert (cell.status, cell.configurations) == ("selected", 10)


def test_a_condition_added_later_runs_only_what_is_new(tmp_path):
    raysweep.run(
        sweep_of({**TRAINING, "momentum": 0.0, "optimizer": ["adam", "sgd"]}),
        store=tmp_path,
        inline=True,
    )
    results = raysweep.run(sweep_of(TRAINING), store=tmp_path, inline=True)
    assert len(results.runs()) == 4 + 2 + 4


@pytest.mark.parametrize(
    ("momentum", "labels"),
    [
        ({"choices": [0.9, 0.5]}, ["0", "0.5", "0.9"]),
        ({"low": 0.5, "high": 0.9}, ["0", "0.5–0.55", "0.55–0.6"]),
    ],
)
def test_a_heatmap_has_the_default_where_a_setting_does_not_apply(tmp_path, momentum, labels):
    training = {**TRAINING, "momentum": {**SGD, **momentum}}
    spec = {**sweep_of(training), "search": {"sampler": "random", "configurations": 6}}
    results = raysweep.run(spec, store=tmp_path, inline=True)
    figure = heatmaps.prepare(results, heatmaps.HeatmapRequest(over="momentum"))
    assert [column.label for column in figure.panels[0].x][:3] == labels
    assert results.plot("heatmap", over="momentum")


def sweep_of(training):
    """A small sweep of the test task."""
    return {
        "name": "toys",
        "tasks": {"walk": {"task": "toy", "steps": 4}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "training": training,
        "seeds": 1,
    }
