"""What samplers noted, kept in the store: the same after a round trip, and never run as code."""

import json
import math
import os
import pickle

import cmaes
import numpy as np
import pytest
from search_helpers import TWO, Driver, bowl

from raysweep.errors import StoreError
from raysweep.search import cma_state
from raysweep.search.sampler_state import MAX_OPTIMIZERS, NAME, SamplerState, set_aside_if_damaged
from raysweep.store.sweep_store import SweepStore

CMAES = {"sampler": "cmaes", "configurations": 20, "n_startup_trials": 1, "popsize": 4}


@pytest.fixture
def files(tmp_path):
    return SweepStore(str(tmp_path / "store"), "kept").files


def optimizer_of(tmp_path, **more):
    """The newest optimizer of a real search, and the files of its sweep."""
    driver = Driver(tmp_path / "real", bowl({**CMAES, **more})).run()
    data = json.loads(driver.store.files.read(NAME))
    holders = [each for each in data.values() if any("optimizer" in key for key in each)]
    return driver, data, holders


def test_attributes_and_their_order_survive(files):
    kept = SamplerState(files)
    for name in "cab":
        kept.note(name, {"cma:generation": ord(name)})
    kept.save()
    again = SamplerState(files)
    assert again.in_order(["x", "a", "b", "c"]) == ["x", "c", "a", "b"]
    assert again.of("a") == {"cma:generation": 97}
    assert again.of("x") is None


def test_nothing_is_written_where_nothing_is_noted(files):
    SamplerState(files).save()
    assert files.read(NAME) is None


@pytest.mark.parametrize(
    "variant", [{}, {"use_separable_cma": True}, {"with_margin": True}], ids=["cma", "sep", "wm"]
)
def test_the_optimizers_of_a_search_are_taken_back(tmp_path, variant):
    driver, _, holders = optimizer_of(tmp_path, **variant)
    assert 1 < len(holders) <= MAX_OPTIMIZERS
    SamplerState(driver.store.files)


@pytest.mark.parametrize(
    "search", [CMAES, {"sampler": "nsga2", "configurations": 18, "population_size": 4}]
)
@pytest.mark.parametrize("cut", [3, 10])
def test_a_search_cut_anywhere_ends_with_the_configurations_of_one_never_cut(tmp_path, search, cut):
    more = {"select": TWO} if search["sampler"] == "nsga2" else {}
    spec = bowl({**search, "batch": 1}, **more)

    def value(settings, seed):
        x, y = settings["task.x"], settings["task.y"]
        return ((x - 0.3) ** 2 + (y + 0.4) ** 2, y) if more else (x - 0.3) ** 2 + (y + 0.4) ** 2

    whole = Driver(tmp_path / "whole", spec, value).run()
    Driver(tmp_path / "cut", spec, value).run(cut)
    rest = Driver(tmp_path / "cut", spec, value).run()
    assert {row["run_id"] for row in rest.rows} == {row["run_id"] for row in whole.rows}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("prefix", ["cma", "sepcma", "cmawm"])
def test_a_pickle_of_an_earlier_version_is_dropped_unread(files, tmp_path, prefix, caplog):
    mark = tmp_path / "owned"
    text = pickle.dumps(Evil(mark)).hex()
    noted = {f"{prefix}:optimizer:0": text[:9], f"{prefix}:optimizer:1": text[9:], "cma:x": 3}
    files.write(NAME, json.dumps({"c": noted}).encode())
    kept = SamplerState(files)
    assert kept.of("c") == {"cma:x": 3}
    assert not mark.exists()
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{files.path(NAME)}: an earlier version")
    assert "pickle" in message
    assert "the sampler resumes from the results" in message
    kept.save()
    assert json.loads(files.read(NAME)) == {"c": {"cma:x": 3}}


@pytest.mark.parametrize(
    "variant",
    [{}, {"use_separable_cma": True}, {"with_margin": True}, {"lr_adapt": True}],
    ids=["cma", "sep", "wm", "lr"],
)
def test_the_store_holds_numbers_and_no_pickle(tmp_path, variant):
    _, data, holders = optimizer_of(tmp_path, **variant)
    assert all(isinstance(each[key], dict) for each in holders for key in each if "opt" in key)
    assert "8004" not in json.dumps(data)


def changed(state, path, value):
    """The state with another value at a path."""
    first, *rest = path
    return {**state, first: changed(state[first], rest, value) if rest else value}


def vector(*values):
    return {"shape": [len(values)], "order": "C", "values": list(values)}


BAD = {
    "class": (["class"], "Process"),
    "name": (["class"], "cmawm"),
    "no number": (["_mean", "values"], ["a", "b"]),
    "true": (["_mean", "values"], [True, False]),
    "nan": (["_mean"], vector(math.nan, 0.5)),
    "huge": (["_mean"], vector(1e300, 0.5)),
    "integer": (["_mean"], vector(1, 2)),
    "shape": (["_mean", "shape"], [2, 1]),
    "long": (["_pc"], vector(0.1, 0.2, 0.3)),
    "empty": (["_mean"], vector()),
    "nested": (["_mean", "values"], [[0.1], [0.2]]),
    "order": (["_mean", "order"], "A"),
    "sigma": (["_sigma"], -1.0),
    "negative": (["_g"], -1),
    "population": (["_popsize"], 10**12),
    "bounds": (["_bounds", "values"], [1.0, 0.0, 1.0, 0.0]),
    "history": (["_funhist_values"], vector(1.0)),
    "text in history": (["_funhist_values", "values"], ["1e9999"] * 2),
    "flag": (["_lr_adapt"], 1),
    "object": (["_B"], {"__class__": "os.system"}),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The state of a real search's newest optimizer."""
    _, _, holders = optimizer_of(tmp_path_factory.mktemp("state"))
    return holders[-1]["cma:optimizer"]


@pytest.mark.parametrize("bad", BAD)
def test_an_odd_number_in_an_optimizers_state_is_told_in_one_line(files, state, bad):
    files.write(NAME, json.dumps({"c": {"cma:optimizer": changed(state, *BAD[bad])}}).encode())
    with pytest.raises(
        StoreError, match=r"cannot read .*search.json, which is damaged: .*; run the"
    ):
        SamplerState(files)


def test_a_state_that_lacks_a_number_is_told_in_one_line(files, state):
    for name in sorted(state.keys() - {"_lr_adapt"}):
        less = {key: value for key, value in state.items() if key != name}
        files.write(NAME, json.dumps({"c": {"cma:optimizer": less}}).encode())
        with pytest.raises(StoreError, match=r"search.json, which is damaged: "):
            SamplerState(files)


def test_an_optimizer_that_cannot_be_kept_exactly_is_said_and_left_out(files, state, caplog):
    optimizer = cma_state.from_json(state)
    optimizer._unknown = 3
    kept = SamplerState(files)
    kept.note("c", {"cma:optimizer:0": pickle.dumps(optimizer).hex(), "cma:generation": 1})
    assert kept.of("c") == {"cma:generation": 1}
    assert "CMA has a state that raysweep cannot store" in caplog.text


def optimizers():
    bounds = np.array([[0.0, 1.0]] * 3)
    about = {"mean": bounds.mean(1), "sigma": 0.2, "bounds": bounds, "n_max_resampling": 30}
    steps = np.array([0.0, 0.25, 0.1])
    return {
        "cma": lambda: cmaes.CMA(**about, seed=1),
        "cma with lr_adapt": lambda: cmaes.CMA(**about, seed=1, lr_adapt=True),
        "sepcma": lambda: cmaes.SepCMA(**about, seed=1),
        "cmawm": lambda: cmaes.CMAwM(**about, seed=1, steps=steps),
        "cmawm without steps": lambda: cmaes.CMAwM(**about, seed=1, steps=0 * steps),
    }


def generation(optimizer, seed):
    """One generation, as Optuna asks for it; its points."""
    optimizer._rng.seed(seed)
    asked = [optimizer.ask() for _ in range(optimizer.population_size)]
    points = [each if isinstance(each, tuple) else (each, each) for each in asked]
    optimizer.tell([(raw, float(((point - 0.3) ** 2).sum())) for point, raw in points])
    return [point.tobytes() for point, _ in points]


@pytest.mark.parametrize("name", optimizers())
def test_an_optimizer_rebuilt_each_generation_proposes_the_same_bits(name):
    pickled, rebuilt = optimizers()[name](), optimizers()[name]()
    for seed in range(25):
        assert generation(rebuilt, seed) == generation(pickled, seed)
        pickled = pickle.loads(pickle.dumps(pickled))
        text = json.dumps(cma_state.to_json(pickle.loads(pickle.dumps(rebuilt))))
        rebuilt = cma_state.from_json(json.loads(text))


@pytest.mark.parametrize(
    "data",
    [
        *(b"{", b"[]", b"3", b'{"a": 3}', b"\xff", b"[" * 100_000, b'{"a": {"optimizer": 1}}'),
        b'{"a": {"cma:generation": "1"}}',
        b'{"a": {"cmawm:generation": 1}}',
        b'{"a": {"x_for_tell": [1.0, "2"]}}',
        b'{"a": {"x_for_tell": [1.0]}, "b": {"x_for_tell": [1.0, 2.0]}}',
        b'{"a": {"nsga2:generation": -1}}',
        b'{"a": {"other": {"b": 1}}}',
    ],
)
def test_a_broken_file_is_told_in_one_line(files, data):
    files.write(NAME, data)
    with pytest.raises(StoreError, match=r"cannot read .*search.json, which is damaged"):
        SamplerState(files)


def test_a_search_goes_on_from_its_results_where_the_file_was_removed(tmp_path):
    spec = bowl({**CMAES, "configurations": 12})
    driver = Driver(tmp_path, spec).run(8)
    driver.store.files.remove(NAME)
    rest = Driver(tmp_path, spec).run()
    assert len({row["configuration_id"] for row in rest.rows}) == 12


def test_a_session_sets_unreadable_notes_aside_and_searches_on(files, caplog):
    files.write(NAME, b'{"0123456789abcdef": 7}')
    set_aside_if_damaged(files)
    assert files.exists(f"damaged/{NAME}")
    assert SamplerState(files).of("0123456789abcdef") is None
    assert "the sampler resumes from the results" in caplog.text
