"""Random points are those that Optuna's random sampler draws, without its trials."""

import optuna
import pytest
from optuna.samplers import RandomSampler

from raysweep.search.distributions import parameter, suggest
from raysweep.search.random_points import RandomPoints
from raysweep.sweep.space import Branches, Choice, Conditional, Fixed, Range
from raysweep.sweep.spec import Arm

SEEDS = range(200)
DOMAINS = {
    "number": Range(-0.3, 0.7),
    "number without a width": Range(0.25, 0.25),
    "number on a logarithmic scale": Range(1e-5, 1e-1, log=True),
    "number on steps": Range(0.1, 1.0, step=0.1),
    "number on one step": Range(0.1, 0.1, step=0.1),
    "whole number": Range(-3, 12, whole=True),
    "whole number on a logarithmic scale": Range(1, 1000, log=True, whole=True),
    "whole number on steps": Range(4, 32, whole=True, step=4),
    "choice of texts": Choice(("adam", "radam", "sgd")),
    "choice of numbers": Choice((0.1, 0.2, 0.7, 1.0)),
    "choice of true and false": Choice((True, False)),
    "choice of several types": Choice((None, 1, "a")),
    "choice of lists": Choice(((1, 2), (3,), ())),
    "choice of many": Choice(tuple(range(300))),
    "choice of one": Choice((5,)),
}
CONDITIONAL = {
    "x.optimizer": DOMAINS["choice of texts"],
    "x.momentum": Conditional({"x.optimizer": ("sgd",)}, Range(0.5, 0.99), 0.0),
    "x.lr": Branches(
        (
            Conditional({"x.optimizer": ("adam",)}, Range(1e-4, 1e-2, log=True), 0.1),
            Conditional({"x.optimizer": ("radam",)}, Fixed(0.3), 0.1),
            Conditional({}, Choice((0.1, 0.2)), 0.1),
        ),
        0.1,
    ),
    "x.size": Range(1, 9, whole=True),
    "x.fixed": Fixed("same"),
}


def arm_of(space):
    return Arm("t", "e", "task", 1, "estimator", 1, space, {}, frozenset())


def drawn_by_optuna(arm, seed, given=None):
    """The point that a trial of Optuna has, with the values that it is given."""
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    if given:
        study.enqueue_trial(given)
    trial, point = study.ask(), {}
    for key in arm.searched:
        if arm.applies(key, point):
            name, domain = parameter(arm, key, point)
            point[key] = suggest(trial, name, domain)
    return point


def exactly(points):
    """The points as text, in which 1 differs from 1.0 and each bit of a number counts."""
    return [repr(point) for point in points]


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_has_the_values_of_optuna(name):
    arm = arm_of({"x.value": DOMAINS[name], "x.after": Range(0.0, 1.0)})
    points = RandomPoints(arm)
    assert exactly(map(points.point, SEEDS)) == exactly(drawn_by_optuna(arm, s) for s in SEEDS)


def test_a_space_of_all_kinds_has_the_values_of_optuna():
    arm = arm_of({f"x.{name}": domain for name, domain in DOMAINS.items()})
    points = RandomPoints(arm)
    assert exactly(map(points.point, SEEDS)) == exactly(drawn_by_optuna(arm, s) for s in SEEDS)


def test_settings_under_conditions_have_the_values_of_optuna():
    arm = arm_of(CONDITIONAL)
    points = RandomPoints(arm)
    assert exactly(map(points.point, SEEDS)) == exactly(drawn_by_optuna(arm, s) for s in SEEDS)


def test_given_values_are_not_drawn():
    arm, given = arm_of(CONDITIONAL), {"x.optimizer": "adam", "x.size": 3}
    points = RandomPoints(arm)
    expected = [drawn_by_optuna(arm, seed, given) for seed in SEEDS]
    assert exactly(points.point(seed, given) for seed in SEEDS) == exactly(expected)


@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1])
def test_every_seed_of_32_bits_is_that_of_optuna(seed):
    arm = arm_of({"x.value": DOMAINS["number"]})
    assert exactly([RandomPoints(arm).point(seed)]) == exactly([drawn_by_optuna(arm, seed)])


def test_a_point_does_not_depend_on_those_before_it():
    arm = arm_of(CONDITIONAL)
    points = RandomPoints(arm)
    first = points.point(7)
    points.point(8)
    assert exactly([points.point(7)]) == exactly([first])


def test_a_space_without_searched_settings_has_one_point():
    assert RandomPoints(arm_of({"x.fixed": Fixed(1)})).point(0) == {}
