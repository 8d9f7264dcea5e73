"""Sweeps whose rows are methods: trained, resumed, warm-started, and with edited code."""

import pytest
from engine_helpers import statuses
from figure_helpers import store_of
from method_helpers import method_spec

from raysweep import registry
from raysweep.driver.prior import prior_results
from raysweep.errors import SpecError
from raysweep.results.edits import warnings
from raysweep.scheduling.scheduler import Schedule
from raysweep.store.sweep_store import SweepStore
from raysweep.testing.toy import ToyAlone

FILE = {
    "name": "walks",
    "tasks": {"walk": {"task": "toy_alone"}},
    "methods": {"slow": {"lr": 0.1}, "fast": {"lr": [0.3, 0.5]}},
    "seeds": 2,
}


@pytest.fixture(autouse=True)
def alone():
    with registry.added([ToyAlone()]):
        yield


def test_methods_are_trained_and_resumed(inline):
    inline({**FILE, "seeds": 1})
    results = inline(FILE)
    assert set(statuses(results).values()) == {"done"}
    assert results.runs().num_rows == 3 * 2
    fast = results.table().cell("fast", "walk")
    assert fast.settings == {"training.lr": 0.5}
    assert set(results.runs()["estimator_name"].to_pylist()) == {"none"}


def test_edited_code_of_the_task_is_said(inline, edit):
    results = inline(FILE)
    edit()
    (line,) = warnings(results.spec, results.store)
    assert line.startswith("the code of task toy_alone changed since 6 runs; to train them")


def test_nothing_is_said_of_the_code_of_no_estimator(inline, edit):
    results = inline(FILE)
    edit("raysweep.estimators.none")
    assert warnings(results.spec, results.store) == []


def test_a_search_without_estimators_that_learns_nothing_names_the_task_alone(tmp_path):
    store_of(tmp_path, method_spec(name="old", methods={"slow": {"lr": [0.1, 0.2]}}))
    search = {"sampler": "tpe", "configurations": 2, "from": "old"}
    spec = method_spec(methods={"slow": {"lr": {"low": 1.0, "high": 2.0}}}, search=search)
    store = SweepStore(str(tmp_path), spec.name)
    with pytest.raises(SpecError) as caught:
        Schedule(spec, store, prior=prior_results(spec, store))
    assert "search space; task and fixed settings must be the same" in str(caught.value)
