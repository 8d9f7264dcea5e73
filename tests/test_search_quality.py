"""What searches, early stopping and fresh seeds are worth, where the truth is known.

The fast form of `benchmarks.search`: fixed repetitions, so nothing here is left to chance; another
`FIRST` is another draw of everything.
"""

import math
import random
import statistics

import pytest
import torch

from benchmarks.searches import RANGES, Case, measure
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.state import RunRegistry
from raysweep.search.sampler_state import SamplerState
from raysweep.search.study import ArmStudy
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import RunResult, TrialResult
from raysweep.sweepfile.reader import read_spec

FIRST = 0
VALLEY = pytest.importorskip("raysweep_valley")


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they save where matrices are this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def repetitions(count):
    return range(FIRST, FIRST + count)


def regret(sampler, configurations, world):
    """Of what a search in one process selects, which is told the mean of three noisy values."""
    spec = read_spec(Case("", sampler, 3, configurations=configurations).file(world))
    study = ArmStudy(spec.arms[0], spec.search, spec.select)
    best = (math.inf, math.inf)
    while (proposal := study.propose()) is not None:
        place = [proposal.assignment[key] for key in ("training.lr", "task.x", "task.y")]
        truth = VALLEY.truth(world, *place)
        value = truth + random.Random(f"{world} {place}").gauss(0, 0.1 / math.sqrt(3))
        study.tell(proposal, TrialResult((value,)))
        best = min(best, (value, truth))
    return best[1]


def regrets(sampler, configurations, count):
    return [regret(sampler, configurations, world) for world in repetitions(count)]


def mean_error(values):
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "configurations", "count"), [("tpe", 40, 20), ("gp", 15, 16), ("cmaes", 50, 20)]
)
def test_a_sampler_that_learns_beats_random_search(sampler, configurations, count):
    mine, theirs = (regrets(each, configurations, count) for each in (sampler, "random"))
    assert statistics.median(mine) < statistics.median(theirs)


def compared(case, base, count):
    """Both searches of each repetition, and how the regret differs: mean and standard error."""
    pairs = [(measure(case, each), measure(base, each)) for each in repetitions(count)]
    return pairs, mean_error([mine.regret - full.regret for mine, full in pairs])


@pytest.mark.slow
def test_racing_finds_as_much_with_at_most_60_percent_of_the_runs():
    raced = Case("", "random", 10, {"pruner": "racing"}, configurations=20)
    whole = Case("", "random", 10, configurations=20)
    pairs, (mean, error) = compared(raced, whole, 10)
    assert sum(mine.runs for mine, _ in pairs) <= 0.6 * sum(full.runs for _, full in pairs)
    assert mean <= 3 * error < 0.05


@pytest.mark.slow
def test_asha_finds_as_much_with_at_most_half_of_the_steps():
    stopped = Case("", "random", 3, {"pruner": "asha", "grace": 9}, configurations=24)
    whole = Case("", "random", 3, configurations=24)
    pairs, (mean, error) = compared(stopped, whole, 20)
    assert sum(mine.steps for mine, _ in pairs) <= 0.5 * sum(full.steps for _, full in pairs)
    assert mean <= 3 * error < 0.1


@pytest.mark.slow
def test_fresh_seeds_are_unbiased_where_those_of_the_search_are_not():
    noisy = {"noise": 0.3, "seed_noise": 0.0}
    case = Case("", "random", {"search": 3, "report": 10}, configurations=24, task=noisy)
    found = [measure(case, each) for each in repetitions(20)]
    mean, error = mean_error([each.reported - each.regret for each in found])
    assert abs(mean) < 3 * error
    mean, error = mean_error([each.searched - each.regret for each in found])
    assert mean < -3 * error


def lost_race(tmp_path, sampler):
    """A search with a good configuration and one that lost after two seeds of four."""
    spec = read_spec(Case("", sampler, 4, {"pruner": "racing"}, configurations=2).file(0))
    runs, kept = RunRegistry(), SamplerState(SweepStore(str(tmp_path), "valley").files)
    search = ArmSearch(spec.arms[0], spec, runs, kept)
    for value in (0.0, 1.0):
        search.open_next()
        (configuration_id,) = search.open
        while configuration_id in search.open:
            for place, member in enumerate(search.open[configuration_id].planned):
                runs.ended[member.run.run_id] = RunResult("done", (value + 0.01 * place,), 81)
            search.settle(configuration_id)
    return search, (spec, runs, kept)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_sampler_learns_the_value_of_a_lost_race(tmp_path, sampler):
    search, _ = lost_race(tmp_path, sampler)
    assert [each.stopped_at for each in search.closed.values()] == [None, 2]
    assert [each.state.name for each in search.study.study.trials] == ["COMPLETE"] * 2
    assert search.study.study.trials[1].value == pytest.approx(1.005)


def test_a_later_session_learns_the_value_of_a_lost_race(tmp_path):
    search, (spec, runs, kept) = lost_race(tmp_path, "cmaes")
    later = ArmSearch(spec.arms[0], spec, runs, kept)
    configurations = [members[0].run.configuration for members in search.members.values()]
    later.take_over((each.configuration_id, each.settings) for each in configurations)
    values = [each.value for each in search.study.study.trials]
    assert [each.value for each in later.study.study.trials] == values


def test_a_lost_race_is_not_selected(tmp_path):
    search, _ = lost_race(tmp_path, "random")
    assert search.selected() == next(iter(search.closed))


def test_the_best_place_has_no_regret_and_lies_inside_the_ranges():
    for world in repetitions(50):
        place = VALLEY.best_place(world)
        assert VALLEY.truth(world, *place) == pytest.approx(0, abs=1e-12)
        for value, limits in zip(place, RANGES.values(), strict=True):
            assert limits["low"] < value < limits["high"]
