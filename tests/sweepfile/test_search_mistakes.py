"""Broken searches: samplers, early stopping, budgets, fresh seeds, two metrics."""

import pytest
from test_spec_mistakes import GOOD

from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

SEARCH = "search: {sampler: %s, configurations: 3%s}"
# name: (what stands for `search: grid` on line 12, line of the mistake, what the message says)
SEARCH_MISTAKES = {
    "search that is a number": ("search: 3", 12, "expected search as a mapping, got 3"),
    "search without a sampler": ("search: {batch: 3}", 12, "got no sampler"),
    "batch of none": (SEARCH % ("tpe", ", batch: 0"), 12, "expected batch of at least 1, got 0"),
    "no configurations": ("search: {sampler: tpe, configurations: 0}", 12, "at least 1, got 0"),
    "negative search seed": (SEARCH % ("tpe", ", seed: -1"), 12, "seed of at least 0, got -1"),
    "setting of another sampler": (
        SEARCH % ("tpe", ", popsize: 8"),
        12,
        "unknown key 'popsize' in search with 'tpe'",
    ),
    "text for a sampler's number": (
        SEARCH % ("tpe", ", n_startup_trials: few"),
        12,
        "search.n_startup_trials: expected a whole number, got 'few'",
    ),
    "negative start": (SEARCH % ("gp", ", n_startup_trials: -1"), 12, "at least 0, got -1"),
    "unknown sequence": (SEARCH % ("qmc", ", qmc_type: sobel"), 12, "'sobol' or 'halton'"),
    "population of one": (SEARCH % ("cmaes", ", popsize: 1"), 12, "popsize of at least 2, got 1"),
    "what Optuna refuses": (
        SEARCH % ("tpe", ", group: true, multivariate: false"),
        12,
        "search with 'tpe': ``group``",
    ),
    "grid with a number": (
        "search: {sampler: grid, configurations: 3}",
        12,
        "takes no configurations",
    ),
    "grid with first points": (
        "search: {sampler: grid, first: [{lr: 1}]}",
        12,
        "takes no first.*every point",
    ),
    "grid that learns": ("search: {sampler: grid, from: other}", 12, "takes no from"),
    "first that is no list": (SEARCH % ("tpe", ", first: {lr: 1}"), 12, "first as a list of"),
    "first point of nothing": (SEARCH % ("tpe", ", first: [{}]"), 12, "first as a list of"),
    "first of an unknown setting": (SEARCH % ("tpe", ", first: [{lrr: 1}]"), 12, "'lrr'.*'lr'"),
    "first outside": (SEARCH % ("tpe", ", first: [{lr: 5}]"), 12, "a value of 'lr' inside"),
    "from itself": (SEARCH % ("tpe", ", from: broken"), 12, "another sweep, got this sweep"),
    "from what is no name": (SEARCH % ("tpe", ", from: Not Good"), 12, "name of another sweep"),
    "nsga2 with one metric": (SEARCH % ("nsga2", ""), 13, "two metrics in select"),
    "early stopping by nobody": ("early_stopping: {grace: 3}", 12, "pruner: NAME"),
    "early stopping by a number": ("early_stopping: 3", 12, "pruner: NAME, .*got 3"),
    "grace of none": ("early_stopping: {pruner: asha, grace: 0}", 12, "grace of at least 1"),
    "grace of all steps": (
        "early_stopping: {pruner: asha, grace: 50}",
        12,
        "expected grace below the 50 steps of ST · digits, got 50",
    ),
    "reduction by one": ("early_stopping: {pruner: asha, reduction: 1}", 12, "at least 2, got 1"),
    "setting of another pruner": (
        "early_stopping: {pruner: median, reduction: 3}",
        12,
        "unknown key 'reduction' in early_stopping with 'median'",
    ),
    "interval of none": ("early_stopping: {pruner: median, interval: 0}", 12, "at least 1, got 0"),
    "negative patience": ("early_stopping: {pruner: patient, patience: -1}", 12, "at least 0"),
    "unknown metric to stop by": (
        "early_stopping: {pruner: asha, metric: train_los}",
        12,
        "'train_los'.*'train_loss'",
    ),
    "racing by a metric of its own": (
        "early_stopping: {pruner: racing, metric: train_loss}",
        12,
        "racing takes no metric",
    ),
    "racing from one seed": ("early_stopping: {pruner: racing, start: 1}", 12, "at least 2"),
    "racing with too few seeds": ("early_stopping: {pruner: racing, start: 3}", 12, "fewer seeds"),
    "negative p-value": ("early_stopping: {pruner: racing, p_threshold: -1}", 12, "at least 0"),
    "budget of nothing": ("budget: {}", 12, "got no limit"),
    "budget that is a number": ("budget: 3", 12, "budget as a mapping, got 3"),
    "budget of no runs": ("budget: {runs: 0}", 12, "runs of at least 1, got 0"),
    "negative hours": ("budget: {hours: -1}", 12, "hours of at least 0"),
    "unknown budget": ("budget: {run: 3}", 12, "unknown key 'run' in budget"),
    "budget of an arm that is a number": ("budget: {arm: 3}", 12, "budget.arm as a mapping, got 3"),
    "no runs for an arm": ("budget: {arm: {runs: 0}}", 12, "runs of at least 1, got 0"),
}


@pytest.mark.parametrize("name", SEARCH_MISTAKES)
def test_a_mistake_of_a_search_is_told_with_its_line(tmp_path, name):
    new, line, message = SEARCH_MISTAKES[name]
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace("search: grid", new, 1))
    with pytest.raises(SpecError, match=rf"sweep.yaml: line {line}: (?s:.*){message}") as caught:
        read_spec(path)
    told = [each for each in caught.value.problems if "got no limit" not in each]
    assert len(told) <= 1


# name: (what stands for the seeds on line 11, what for select on line 13, line, message)
PAIRS = "select: {metric: %s}"
OTHER_MISTAKES = {
    "search seeds alone": ("seeds: {search: 2}", None, 11, "got no report"),
    "fresh seeds alone": ("seeds: {report: 2}", None, 11, "got no search"),
    "no fresh seeds": ("seeds: {search: 2, report: 0}", None, 11, "1 to 999999 fresh seeds, got 0"),
    "listed fresh seeds": ("seeds: {search: 2, report: [7]}", None, 11, "a whole number, got .7."),
    "unknown kind of seeds": ("seeds: {search: 2, test: 3}", None, 11, "'test' in seeds"),
    "seed of the report's": ("seeds: [1000000]", None, 11, "seeds from 0 to 999999"),
    "no metric": (None, "select: {mode: min}", 13, "got no metric"),
    "empty list of metrics": (None, PAIRS % "[]", 13, "one metric, or two different ones"),
    "one metric twice": (None, PAIRS % "[train_loss, train_loss]", 13, "two different ones"),
    "unknown second metric": (None, PAIRS % "[train_loss, nope]", 13, "'nope'"),
}


@pytest.mark.parametrize("name", OTHER_MISTAKES)
def test_a_mistake_of_seeds_or_metrics_is_told_with_its_line(tmp_path, name):
    seeds, select, line, message = OTHER_MISTAKES[name]
    text = GOOD.replace("seeds: 3", seeds or "seeds: 3")
    text = text.replace("select: {metric: train_loss, mode: min}", select or PAIRS % "train_loss")
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=rf"sweep.yaml: line {line}: (?s:.*){message}"):
        read_spec(path)


TWO_METRICS = """
name: broken
tasks: {bowl: {task: bowl, x: {low: -1, high: 1}}}
estimators: {ST: {estimator: straight_through}}
seeds: 3
search: {sampler: tpe, configurations: 3}
select: {metric: [regret, height]}
"""
# name: (text of the file above, what replaces it, line, message)
TWO_METRICS_MISTAKES = {
    "cmaes": ("sampler: tpe", "sampler: cmaes", 7, "one metric in select with sampler 'cmaes'"),
    "fresh seeds": ("seeds: 3", "seeds: {search: 3, report: 3}", 5, "one metric in select"),
    "one mode": ("height]", "height], mode: min", 7, "a mode for each of regret, height"),
    "mode of the other": ("height]", "height], mode: [min, min]", 7, "mode max for 'height'"),
    "early stopping": ("seeds: 3", "seeds: 3\nearly_stopping: asha", 6, "one metric in select"),
    "text for a population": (
        "sampler: tpe",
        "sampler: nsga2, population_size: many",
        6,
        "search.population_size: expected a whole number, got 'many'",
    ),
    "population of one": ("sampler: tpe", "sampler: nsga2, population_size: 1", 6, "at least 2"),
    "unlikely mutation": ("sampler: tpe", "sampler: nsga2, mutation_prob: 2", 6, "mutation_prob"),
    "three metrics": ("height]", "height, train_loss]", 7, "one metric, or two different ones"),
}


@pytest.mark.parametrize("name", TWO_METRICS_MISTAKES)
def test_a_mistake_beside_two_metrics_is_told_with_its_line(tmp_path, name):
    old, new, line, message = TWO_METRICS_MISTAKES[name]
    path = tmp_path / "sweep.yaml"
    path.write_text(TWO_METRICS.replace(old, new, 1))
    with pytest.raises(SpecError, match=rf"sweep.yaml: line {line}: (?s:.*){message}") as caught:
        read_spec(path)
    assert len(caught.value.problems) == 1
