"""Settings with a domain for each value of another, and values that belong together."""

import pytest

import raysweep
from raysweep.errors import SpecError
from raysweep.search.study import ArmStudy
from raysweep.sweep.options import Search, Select
from raysweep.sweep.outcomes import TrialResult
from raysweep.sweep.runs import Run
from raysweep.sweep.space import Choice, Conditional, Fixed
from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.reader import read_spec

ADAM, SGD = ({"when": {"optimizer": name}} for name in ("adam", "sgd"))
RANGES = {
    "optimizer": ["adam", "sgd"],
    "lr": [
        {**ADAM, "low": 1e-4, "high": 1e-2, "log": True},
        {**SGD, "low": 1e-1, "high": 1.0, "log": True},
    ],
}
LISTS = {
    "optimizer": ["adam", "radam", "sgd"],
    "lr": [{**ADAM, "value": 0.001}, {**SGD, "choices": [0.1, 0.2]}, 0.01],
}
SHAPES = {
    "together": [{"size": 1, "noise": 0.1}, {"size": 2, "noise": 0.1}, {"size": 2, "noise": 0.3}]
}


def spec_of(training=(), search="grid", task=(), **keys):
    return read_spec(
        {
            "name": "branches",
            "tasks": {"walk": {"task": "toy", **dict(task)}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": dict(training),
            "seeds": 1,
            "search": search,
            **keys,
        }
    )


def arm_of(*args, **keys):
    return spec_of(*args, **keys).arms[0]


def settings_of(arm, *names):
    """The values of some settings in every configuration."""
    found = [arm.configuration(cell).settings for cell in arm.cells()]
    return [tuple(settings[name] for name in names) for settings in found]


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "qmc", "cmaes"])
def test_a_range_follows_the_value_of_another_setting(sampler):
    arm = arm_of(RANGES, {"sampler": sampler, "configurations": 12})
    study = ArmStudy(arm, Search(sampler, 12), Select())
    seen = set()
    for index in range(12):
        proposal = study.propose()
        point = proposal.assignment
        low, high = {"adam": (1e-4, 1e-2), "sgd": (1e-1, 1.0)}[point["training.optimizer"]]
        assert low <= point["training.lr"] <= high
        seen.add(point["training.optimizer"])
        study.tell(proposal, TrialResult((float(index),)))
    assert seen == {"adam", "sgd"}


def test_the_first_branch_that_holds_applies_and_the_last_one_elsewhere():
    assert settings_of(arm_of(LISTS), "training.optimizer", "training.lr") == [
        ("adam", 0.001),
        ("radam", 0.01),
        ("sgd", 0.1),
        ("sgd", 0.2),
    ]


def test_a_setting_has_its_default_where_no_branch_holds():
    arm = arm_of({**LISTS, "lr": [{**ADAM, "value": 0.5}, {**SGD, "value": 0.1}]})
    assert ("radam", 0.001) in settings_of(arm, "training.optimizer", "training.lr")


def test_branches_of_a_fixed_setting_are_one_domain():
    assert arm_of({**LISTS, "optimizer": "sgd"}).space["training.lr"] == Choice((0.1, 0.2))


def test_branches_that_never_hold_are_left_out():
    arm = arm_of({**LISTS, "optimizer": ["radam", "sgd"], "lr": LISTS["lr"][:2]})
    when = {"training.optimizer": ("sgd",)}
    assert arm.space["training.lr"] == Conditional(when, Choice((0.1, 0.2)), 0.001)


def test_runs_of_branches_are_the_runs_of_separate_files():
    def ids(arm):
        return {Run(arm.configuration(cell), 0).run_id for cell in arm.cells()}

    apart = ids(arm_of({"optimizer": "adam", "lr": 0.001}))
    apart |= ids(arm_of({"optimizer": "radam", "lr": 0.01}))
    apart |= ids(arm_of({"optimizer": "sgd", "lr": [0.1, 0.2]}))
    assert ids(arm_of(LISTS)) == apart


def test_branches_survive_plain_data():
    spec = spec_of(LISTS)
    assert Spec.from_json(spec.to_json()).arms[0].space == spec.arms[0].space


def test_a_smoke_run_has_the_first_value_of_the_branch_that_holds():
    arm = smoke_spec(spec_of(RANGES, {"sampler": "tpe", "configurations": 3})).arms[0]
    assert arm.space["training.lr"] == Fixed(1e-4)


def test_points_to_try_first_follow_the_branches():
    search = {"sampler": "tpe", "configurations": 5, "first": [{"lr": 0.5}]}
    spec = spec_of(RANGES, search)
    first = ArmStudy(spec.arms[0], spec.search, Select()).propose().assignment
    assert first == {"training.optimizer": "sgd", "training.lr": 0.5}


def test_a_table_shows_a_sweep_of_branches(tmp_path):
    spec = {
        "name": "branches",
        "tasks": {"walk": {"task": "toy", "steps": 5, **SHAPES}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "training": LISTS,
        "seeds": 1,
    }
    results = raysweep.run(spec, store=tmp_path, inline=True)
    assert results.runs().num_rows == 12
    assert results.table().cells[0].configurations == 12


def test_values_that_belong_together_are_chosen_together():
    assert settings_of(arm_of(task=SHAPES), "task.size", "task.noise") == [
        (1, 0.1),
        (2, 0.1),
        (2, 0.3),
    ]


def test_a_point_of_together_may_leave_a_setting_at_its_default():
    together = [{"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}]
    found = settings_of(arm_of({"together": together}), "training.optimizer", "training.momentum")
    assert found == [("sgd", 0.9), ("adam", 0.0)]


def test_a_point_of_together_may_have_a_range():
    together = [
        {"optimizer": "adam", "lr": {"low": 0.001, "high": 0.01}},
        {"optimizer": "sgd", "lr": {"low": 0.1, "high": 1.0}},
    ]
    arm = arm_of({"together": together}, {"sampler": "random", "configurations": 5})
    assert arm.points.domain("training.lr", {"training.optimizer": "sgd"}).low == 0.1


def test_several_lists_of_together_are_combined():
    lists = [SHAPES["together"], [{"lr": 0.1, "momentum": 0.0}, {"lr": 0.2, "momentum": 0.9}]]
    assert arm_of(task={"together": lists}).size == 6


def test_a_later_value_replaces_one_of_together():
    arm = arm_of(task=SHAPES, overrides=[{"size": 2}])
    assert settings_of(arm, "task.size", "task.noise") == [(2, 0.1), (2, 0.3)]


MISTAKES = {
    "branch without when": (
        {"lr": [{"value": 0.1}, {**ADAM, "value": 0.2}]},
        "when in every branch of 'lr' but the last",
    ),
    "condition on a range": (
        {**RANGES, "momentum": {"when": {"lr": 0.1}, "value": 0.5}},
        "depends on training.lr, which is a range",
    ),
    "together with a number": ({"together": 3}, "together as a list of points.*got 3"),
    "together of nothing": ({"together": []}, "together as a list of points"),
    "together with a typo": ({"together": [{"lrr": 0.1}, {"lr": 0.2}]}, "unknown setting 'lrr'"),
    "together twice": ({"together": [{"lr": 0.1}, {"lr": 0.1}]}, "each point of together once"),
    "together and beside it": (
        {"lr": 0.1, "together": [{"lr": 0.1}, {"lr": 0.2}]},
        "'lr' appears in together and beside it",
    ),
    "points that differ in a choice": (
        {"together": [{"nesterov": False, "lr": [0.1, 0.2]}, {"nesterov": False, "lr": 0.3}]},
        "to differ in a setting with one value",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_branches_is_told_once(name):
    training, message = MISTAKES[name]
    with pytest.raises(SpecError, match=message) as caught:
        spec_of(training, {"sampler": "random", "configurations": 3})
    assert len(caught.value.problems) == 1


def test_a_point_to_try_first_need_not_name_what_follows():
    search = {"sampler": "tpe", "configurations": 3, "first": [{"size": 2, "noise": 0.3}]}
    together = [{"size": 1, "noise": 0.1}, {"size": 2, "noise": 0.3}]
    with pytest.raises(SpecError, match="got 'noise', which follows from size; leave it out"):
        spec_of(search=search, task={"together": together})
    search["first"] = [{"size": 2}]
    assert spec_of(search=search, task={"together": together}).search.first == ({"size": 2},)
