"""What samplers noted, kept in the store: the same after a round trip, and never run as code."""

import json
import os
import pickle

import pytest
from search_helpers import TWO, Driver, bowl

from raysweep.errors import StoreError
from raysweep.search.kept import MAX_OPTIMIZERS, NAME, Kept
from raysweep.store.store import SweepStore

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


def with_state(files, text, prefix="cma"):
    files.write(NAME, json.dumps({"c": {f"{prefix}:optimizer:0": text}}).encode())


def test_attributes_and_their_order_survive(files):
    kept = Kept(files)
    for name in "cab":
        kept.note(name, {"cma:generation": ord(name)})
    kept.save()
    again = Kept(files)
    assert again.in_order(["x", "a", "b", "c"]) == ["x", "c", "a", "b"]
    assert again.of("a") == {"cma:generation": 97}
    assert again.of("x") is None


def test_nothing_is_written_where_nothing_is_noted(files):
    Kept(files).save()
    assert files.read(NAME) is None


@pytest.mark.parametrize(
    "variant", [{}, {"use_separable_cma": True}, {"with_margin": True}], ids=["cma", "sep", "wm"]
)
def test_the_optimizers_of_a_search_are_taken_back(tmp_path, variant):
    driver, _, holders = optimizer_of(tmp_path, **variant)
    assert 1 < len(holders) <= MAX_OPTIMIZERS
    Kept(driver.store.files)


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
def test_code_in_an_optimizers_state_is_refused_and_never_run(files, tmp_path, prefix):
    mark = tmp_path / "owned"
    with_state(files, pickle.dumps(Evil(mark)).hex(), prefix)
    with pytest.raises(StoreError, match=r"search.json: .*system in an optimizer's state; remove"):
        Kept(files)
    assert not mark.exists()


def test_code_behind_a_real_state_is_refused_and_never_run(files, tmp_path):
    mark = tmp_path / "owned"
    _, _, holders = optimizer_of(tmp_path)
    parts = [value for key, value in sorted(holders[0].items()) if "optimizer" in key]
    state = pickle.loads(bytes.fromhex("".join(parts)))
    state._extra = Evil(mark)
    with_state(files, pickle.dumps(state).hex())
    with pytest.raises(StoreError, match="in an optimizer's state"):
        Kept(files)
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    ["", "zz", "80", "8004", "2e", "800463"],
    ids=["nothing", "no hex", "protocol", "no frame", "empty stack", "cut short"],
)
def test_a_broken_state_is_told_in_one_line(files, text):
    with_state(files, text)
    with pytest.raises(StoreError, match=r"cannot read .*search.json: expected what raysweep"):
        Kept(files)


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"3", b'{"a": 3}', b"\xff", b'{"a": {"optimizer": 1}}']
)
def test_a_broken_file_is_told_in_one_line(files, data):
    files.write(NAME, data)
    with pytest.raises(StoreError, match=r"cannot read .*search.json: expected what raysweep"):
        Kept(files)


def test_a_search_goes_on_from_its_results_where_the_file_was_removed(tmp_path):
    spec = bowl({**CMAES, "configurations": 12})
    driver = Driver(tmp_path, spec).run(8)
    driver.store.files.remove(NAME)
    rest = Driver(tmp_path, spec).run()
    assert len({row["configuration_id"] for row in rest.rows}) == 12
