"""One study per arm: what it proposes, and how it is rebuilt."""

import math

import pytest

from raysweep.search.pruners import Rungs
from raysweep.search.study import ArmStudy
from raysweep.sweep.options import EarlyStopping
from raysweep.sweep.outcomes import FAILED, TrialResult
from raysweep.sweepfile.reader import read_spec


def study(lr, sampler="tpe", configurations=20, seed=0):
    search = {"sampler": sampler, "configurations": configurations, "seed": seed}
    spec = read_spec(
        {
            "name": "search",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": {"lr": lr, "optimizer": ["adam", "sgd"]},
            "seeds": 1,
            "search": "grid" if sampler == "grid" else search,
        }
    )
    return ArmStudy(spec.arms[0], spec.search, spec.select)


RANGE = {"low": 1e-4, "high": 1.0, "log": True}


def drain(found, value=None):
    """Takes every proposal, telling each its value."""
    taken = []
    while (proposal := found.propose()) is not None:
        taken.append(proposal.assignment)
        found.tell(proposal, TrialResult((value(proposal.assignment) if value else 0.0,)))
    return taken


def test_a_grid_proposes_every_cell_once_in_order():
    found = drain(study([0.1, 0.2], "grid"))
    assert [(each["training.lr"], each["training.optimizer"]) for each in found] == [
        (0.1, "adam"),
        (0.2, "adam"),
        (0.1, "sgd"),
        (0.2, "sgd"),
    ]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_equal_seeds_and_results_give_equal_proposals(sampler):
    assert drain(study(RANGE, sampler)) == drain(study(RANGE, sampler))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_another_seed_gives_other_proposals(sampler):
    assert drain(study(RANGE, sampler)) != drain(study(RANGE, sampler, seed=1))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_number_of_configurations_is_kept_and_none_repeats(sampler):
    found = drain(study(RANGE, sampler, 15))
    assert len({str(each) for each in found}) == len(found) == 15


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_small_space_is_used_up_and_no_more(sampler):
    assert len(drain(study([0.1, 0.2, 0.3], sampler, 50))) == 6


def test_random_proposals_do_not_depend_on_results():
    assert drain(study(RANGE, "random"), lambda each: each["training.lr"]) == drain(
        study(RANGE, "random"), lambda each: -each["training.lr"]
    )


def test_tpe_goes_where_values_are_good():
    def distance(assignment):
        return abs(math.log10(assignment["training.lr"]) + 0.3)

    found = drain(study(RANGE, "tpe", 60), distance)
    late = [distance(each) for each in found[-20:]]
    early = [distance(each) for each in found[:10]]
    assert sum(late) / len(late) < 0.5 * sum(early) / len(early)


def test_a_rebuilt_study_goes_on_as_the_first_would():
    first = study(RANGE, "tpe", 14)
    told = []
    for _ in range(12):
        proposal = first.propose()
        value = abs(proposal.assignment["training.lr"] - 0.5)
        first.tell(proposal, TrialResult((value,)))
        told.append((proposal.assignment, value))
    second = study(RANGE, "tpe", 14)
    for assignment, value in told:
        second.add(assignment, TrialResult((value,)))
    assert second.propose().assignment == first.propose().assignment


def test_a_list_of_choices_may_grow_between_sessions():
    found = study([0.1, 0.2, 0.3], "tpe", 6)
    found.add({"training.lr": 0.1, "training.optimizer": "adam"}, TrialResult((1.0,)))
    assert len(drain(found)) == 5


def test_failed_configurations_count_and_are_told_as_failed():
    found = study(RANGE, "tpe", 3)
    for _ in range(3):
        found.tell(found.propose(), FAILED)
    assert found.propose() is None
    assert {trial.state.name for trial in found.study.trials} == {"FAIL"}


def test_an_adopted_configuration_is_told_its_own_value():
    found = study(RANGE, "tpe", 2)
    proposal = found.adopt({"training.lr": 0.125, "training.optimizer": "sgd"})
    found.tell(proposal, TrialResult((7.0,)))
    (trial,) = found.study.trials
    assert (trial.params["training.lr"], trial.value) == (0.125, 7.0)


def test_patient_raises_no_warning():
    settings = {"grace": 3, "interval": None, "patience": 3, "min_delta": 0.0}
    rungs = Rungs(EarlyStopping("patient", "train_loss", "min", settings), 81, 3)
    rungs.enter(3, {"a": 1.0})
    assert not rungs.is_poor("a")
