"""Every sampler: seeded, rebuilt from what was told, steered by its own settings."""

import dataclasses
import inspect
import itertools

import pytest
from search_helpers import SQUARE, TWO, bowl, regret

from raysweep.search.samplers import FIRST_GENERATION_ATTRS, SAMPLERS, make_sampler
from raysweep.search.study import ArmStudy
from raysweep.sweep.options import Search
from raysweep.sweep.outcomes import FAILED, TrialResult
from raysweep.sweepfile.reader import read_spec

SEARCHED = [name for name in SAMPLERS if name != "grid"]
ADAPTIVE = ["tpe", "gp", "cmaes", "nsga2"]
SMALL = {
    "random": {},
    "qmc": {"scramble": True},
    "tpe": {"n_startup_trials": 3},
    "gp": {"n_startup_trials": 3},
    "cmaes": {"n_startup_trials": 1, "popsize": 4},
    "nsga2": {"population_size": 4},
}
GENERATION = next(iter(FIRST_GENERATION_ATTRS))
COUNT = {"gp": 6}  # each proposal of a Gaussian process costs a tenth of a second


def spec_of(sampler, space=None, n=None, **search):
    n = n or COUNT.get(sampler, 20)
    own = {**SMALL[sampler], **search}
    more = {"select": TWO} if sampler == "nsga2" else {}
    return bowl({"sampler": sampler, "configurations": n, **own}, task=space, **more)


def study_of(spec):
    return ArmStudy(spec.arms[0], spec.search, spec.select)


def values(study, assignment):
    settings = {"task.x": 0.0, "task.y": 0.0, **assignment}
    found = (regret(settings), settings["task.y"])
    return TrialResult(found[: len(study.study.directions)])


def drain(study, most=10**6, told=None):
    """Takes proposals and tells their values; what a store would then hold."""
    held = [] if told is None else told
    for _ in range(most):
        proposal = study.propose()
        if proposal is None:
            break
        found = values(study, proposal.assignment)
        study.tell(proposal, found)
        held.append((proposal.assignment, found, proposal.attributes))
    return held


def rebuilt(spec, held):
    study = study_of(spec)
    for assignment, found, attributes in held:
        study.add(assignment, found, attributes)
    return study


def points(held):
    return [assignment for assignment, _, _ in held]


@pytest.mark.parametrize("sampler", SEARCHED)
def test_the_same_seed_gives_the_same_proposals(sampler):
    spec = spec_of(sampler)
    first = points(drain(study_of(spec)))
    assert first == points(drain(study_of(spec)))
    assert len(first) == COUNT.get(sampler, 20)


@pytest.mark.parametrize("sampler", SEARCHED)
def test_another_seed_gives_other_proposals(sampler):
    assert points(drain(study_of(spec_of(sampler)), 3)) != points(
        drain(study_of(spec_of(sampler, seed=1)), 3)
    )


@pytest.mark.parametrize("sampler", SEARCHED)
def test_no_proposal_leaves_the_space_or_repeats(sampler):
    spec = spec_of(sampler)
    (arm,) = spec.arms
    found = points(drain(study_of(spec)))
    assert all(arm.assignment(arm.configuration(each).settings) == each for each in found)
    assert len({str(each) for each in found}) == len(found)


@pytest.mark.parametrize("sampler", ADAPTIVE)
@pytest.mark.parametrize("cut", [1, 5, 13])
def test_a_study_rebuilt_from_what_was_told_goes_on_as_the_first_would(sampler, cut):
    """Several generations of `cmaes` and `nsga2`, with the attributes that are kept."""
    cut = min(cut, COUNT.get(sampler, 20) - 1)
    spec = spec_of(sampler)
    first = study_of(spec)
    held = drain(first, cut)
    second = rebuilt(spec, held)
    assert points(drain(second)) == points(drain(first))


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_a_list_goes_on_behind_what_an_earlier_session_took(sampler):
    spec = spec_of(sampler)
    whole = points(drain(study_of(spec)))
    held = drain(study_of(spec), 7)
    assert points(drain(rebuilt(spec, held))) == whole[7:]


@pytest.mark.parametrize("sampler", SEARCHED)
def test_one_that_was_begun_goes_on_with_its_number(sampler):
    spec = spec_of(sampler, n=5)
    first = study_of(spec)
    held = drain(first, 3)
    waiting = first.propose()
    second = rebuilt(spec, held)
    adopted = second.adopt(waiting.assignment, waiting.attributes)
    second.tell(adopted, values(second, waiting.assignment))
    assert len(drain(second)) == 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_setting_is_one_of_optunas(sampler):
    known = inspect.signature(SAMPLERS[sampler].cls.__init__).parameters
    assert set(SAMPLERS[sampler].settings) <= set(known)


@pytest.mark.parametrize(
    ("sampler", "setting", "value", "attribute"),
    [
        ("tpe", "n_startup_trials", 3, "_n_startup_trials"),
        ("tpe", "n_ei_candidates", 7, "_n_ei_candidates"),
        ("tpe", "multivariate", True, "_multivariate"),
        ("tpe", "constant_liar", True, "_constant_liar"),
        ("gp", "n_startup_trials", 4, "_n_startup_trials"),
        ("gp", "deterministic_objective", True, "_deterministic"),
        ("qmc", "qmc_type", "halton", "_qmc_type"),
        ("qmc", "scramble", False, "_scramble"),
        ("cmaes", "n_startup_trials", 5, "_n_startup_trials"),
        ("cmaes", "popsize", 6, "_popsize"),
        ("cmaes", "with_margin", True, "_with_margin"),
        ("cmaes", "use_separable_cma", True, "_use_separable_cma"),
        ("nsga2", "population_size", 8, "_population_size"),
    ],
)
def test_a_setting_reaches_optuna(sampler, setting, value, attribute):
    spec = spec_of(sampler, **{setting: value})
    sampler = make_sampler(spec.search, seed=0)
    names = [name for name in vars(sampler) if name.startswith(attribute)]
    assert [vars(sampler)[name] for name in names] == [value]


def test_startup_trials_are_what_random_would_propose_whatever_is_told():
    spec = spec_of("tpe", n_startup_trials=8)
    first, second = study_of(spec), study_of(spec)
    for _ in range(8):
        one, other = first.propose(), second.propose()
        assert one.assignment == other.assignment
        first.tell(one, values(first, one.assignment))
        second.tell(other, TrialResult((-values(second, other.assignment).values[0],)))
    assert first.propose().assignment != second.propose().assignment


@pytest.mark.parametrize("options", [{}, {"multivariate": False}, {"multivariate": True}])
@pytest.mark.parametrize("sampler", SEARCHED)
def test_conditional_spaces_are_searched_where_they_apply(sampler, options):
    if options and sampler != "tpe":
        pytest.skip("a setting of tpe's")
    spec = conditional_spec(sampler, **options)
    (arm,) = spec.arms
    held = drain(study_of(spec))
    for each in points(held):
        assert ("training.momentum" in each) == (each["training.optimizer"] == "sgd")
        assert arm.assignment(arm.configuration(each).settings) == each


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_conditional_studies_are_rebuilt_too(sampler):
    spec = conditional_spec(sampler)
    first = study_of(spec)
    held = drain(first, 9)
    assert points(drain(rebuilt(spec, held))) == points(drain(first))


def conditional_spec(sampler, **search):
    n = COUNT.get(sampler, 14)
    own = {"sampler": sampler, "configurations": n, **SMALL[sampler], **search}
    training = {
        "optimizer": ["adam", "sgd"],
        "momentum": {"when": {"optimizer": "sgd"}, "low": 0.0, "high": 0.9},
    }
    more = {"select": TWO} if sampler == "nsga2" else {}
    return bowl(own, training=training, **more)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.permutations(["tpe", "gp", "cmaes"], 2))
)
def test_another_sampler_goes_on_from_the_history(before, after):
    old, new = spec_of(before, n=8), spec_of(after, n=12)
    held = drain(study_of(old))
    study = rebuilt(new, held)
    assert len(drain(study)) == 12 - len(held)
    done = [trial for trial in study.study.trials if trial.state.name == "COMPLETE"]
    assert len(done) == 12


@pytest.mark.parametrize("before", ["tpe", "nsga2"])
def test_cmaes_starts_where_the_history_of_another_sampler_is_good(before):
    """Startup trials apart, its first generation lies around the best known points."""
    spec = spec_of("cmaes", n=60, n_startup_trials=1, popsize=8)
    study = study_of(spec)
    attributes = {GENERATION: 0} if before == "nsga2" else None
    for place in range(40):
        x, y = 0.3 + (place % 7 - 3) * 0.2, -0.4 + (place % 5 - 2) * 0.25
        point = {"task.x": max(-1.0, min(1.0, x)), "task.y": max(-1.0, min(1.0, y))}
        study.add(point, values(study, point), attributes)
    found = [regret(each) for each in points(drain(study, 8))]
    assert sum(found) / len(found) < 0.25


@pytest.mark.parametrize("before", ["tpe", "cmaes"])
def test_nsga2_takes_the_history_of_another_sampler_as_its_first_generation(before):
    spec = spec_of("nsga2", n=40, population_size=10)
    study = study_of(spec)
    attributes = {"cma:generation": 0} if before == "cmaes" else None
    for place in range(10):
        point = {"task.x": place / 10, "task.y": -place / 10}
        study.add(point, values(study, point), attributes)
    proposal = study.propose()
    assert proposal.attributes[GENERATION] == 1


@pytest.mark.parametrize("sampler", SEARCHED)
@pytest.mark.parametrize("low", [-2.0, -0.5], ids=["wider", "narrower"])
def test_a_changed_range_keeps_the_points_inside(sampler, low):
    held = drain(study_of(spec_of(sampler, n=6)))
    space = {"x": {"low": low, "high": 1.0}, "y": SQUARE["y"]}
    spec = spec_of(sampler, space, n=9)
    (arm,) = spec.arms
    inside = [
        each for each in held if arm.assignment(arm.configuration(each[0]).settings) is not None
    ]
    inside = [each for each in inside if each[0]["task.x"] >= low]
    found = points(drain(rebuilt(spec, inside)))
    assert len(found) == 9 - len(inside)
    assert all(each["task.x"] >= low for each in found)


def test_cmaes_looks_where_it_was_when_its_range_gets_wider():
    """Its optimizer works in shares of the range, which mean other places in another one."""
    narrow = {"x": {"low": -0.5, "high": 0.5}, "y": {"low": -0.6, "high": 0.4}}
    held = drain(study_of(spec_of("cmaes", narrow, n=40)))
    wide = {"x": {"low": -20.0, "high": 0.5}, "y": {"low": -20.0, "high": 0.4}}
    known = points(held)
    found = points(drain(rebuilt(spec_of("cmaes", wide, n=44), held)))
    assert min(regret(each) for each in known) < 0.05
    assert sum(regret(each) for each in found) / len(found) < 40.0


@pytest.mark.parametrize("sampler", SEARCHED)
def test_points_to_try_first_come_first_and_once(sampler):
    first = [{"x": 0.25, "y": 0.5}, {"x": -0.25}]
    spec = spec_of(sampler, first=first, n=6)
    held = drain(study_of(spec))
    found = points(held)
    assert found[0] == {"task.x": 0.25, "task.y": 0.5}
    assert found[1]["task.x"] == -0.25
    assert -1 <= found[1]["task.y"] <= 1
    assert len(found) == 6
    assert sum(each["task.x"] in (0.25, -0.25) for each in found) == 2


@pytest.mark.parametrize("sampler", SEARCHED)
def test_points_to_try_first_are_not_tried_again_after_a_restart(sampler):
    first = [{"x": 0.25, "y": 0.5}, {"x": -0.25}]
    spec = spec_of(sampler, first=first, n=6)
    held = drain(study_of(spec), 2)
    found = points(drain(rebuilt(spec, held)))
    assert len(found) == 4
    assert not any(each["task.x"] in (0.25, -0.25) for each in found)


def test_a_first_point_that_failed_is_not_tried_again():
    spec = spec_of("tpe", first=[{"x": 0.25}], n=4)
    study = study_of(spec)
    study.tell(study.propose(), FAILED)
    assert all(each["task.x"] != 0.25 for each in points(drain(study)))


def test_a_first_point_of_a_conditional_setting_brings_what_it_needs():
    spec = conditional_spec("tpe", first=[{"momentum": 0.5}])
    proposal = study_of(spec).propose()
    assert proposal.assignment["training.momentum"] == 0.5
    assert proposal.assignment["training.optimizer"] == "sgd"


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_conditional_space_starts_from_other_results(sampler):
    """What a warm start tells has some settings that others lack."""
    spec = conditional_spec(sampler)
    study = study_of(spec)
    for place in range(30 if sampler == "cmaes" else 6):
        point = {"task.x": place / 30, "task.y": 0.1, "training.optimizer": "adam"}
        if place % 4:
            point |= {"training.optimizer": "sgd", "training.momentum": place / 40}
        study.learn(point, values(study, point))
    assert len(drain(study, 5)) == 5


def test_a_search_is_the_same_after_its_round_trip():
    search = spec_of("cmaes", first=[{"x": 0.5}]).search
    assert Search.from_json(dataclasses.asdict(search)) == search


def test_group_needs_no_more_than_a_conditional_space():
    spec = conditional_spec("tpe")
    sampler = make_sampler(spec.search, seed=0, conditional=True)
    assert sampler._group


def test_a_setting_that_optuna_refuses_is_told_with_its_line():
    from raysweep.errors import SpecError

    with pytest.raises(SpecError, match="search with 'cmaes': It is prohibited"):
        read_spec(
            {
                "name": "refused",
                "tasks": {"bowl": {"task": "bowl", **SQUARE}},
                "estimators": {"ST": {"estimator": "straight_through"}},
                "seeds": 1,
                "search": {
                    "sampler": "cmaes",
                    "configurations": 3,
                    "lr_adapt": True,
                    "with_margin": True,
                },
            }
        )
