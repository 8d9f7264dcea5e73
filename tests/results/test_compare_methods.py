"""Several sweeps side by side whose rows are methods, some of them under other labels."""

import re

import pytest
from figure_helpers import spec_of, store_of
from method_helpers import METHODS, TASKS, method_spec, method_store

from raysweep.cli.main import main
from raysweep.results.compare import difference

RENAMED = {"slower": METHODS["slow"], "fast": METHODS["fast"]}


@pytest.fixture
def walks(tmp_path):
    return method_store(tmp_path)


@pytest.fixture
def named(tmp_path):
    """The same sweep, with other labels of one method and of one task."""
    tasks = {"A": TASKS["A"], "C": TASKS["B"]}
    spec = method_spec(name="named", tasks=tasks, methods=RENAMED)
    return store_of(tmp_path, spec, lambda task, method, place, seed: 1.0 - place + seed)


@pytest.fixture
def cli(tmp_path, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--store", str(tmp_path)])
        out = capsys.readouterr()
        assert (stopped.value.code, out.err) == (0, "")
        return out.out

    return run


def test_renamed_methods_are_compared_with_each_other(walks, named):
    pairs = {(arm.estimator, arm.task): arm.renamed for arm in difference(walks, named).arms}
    assert pairs == {
        ("slow", "A"): ("slower", "A"),
        ("slow", "B"): ("slower", "C"),
        ("fast", "A"): None,
        ("fast", "B"): ("fast", "C"),
    }


def test_renamed_methods_have_no_differences_of_settings(walks, named):
    changes = [(c.name, c.first, c.second) for c in difference(walks, named).settings]
    assert changes == [
        ("arm", "slow · A", "slower · A"),
        ("arm", "slow · B", "slower · C"),
        ("arm", "fast · B", "fast · C"),
    ]


def test_a_diff_of_renamed_methods_speaks_of_methods(walks, named, cli):
    out = cli("diff", "walks", "named")
    assert re.search(r"^method +task +walks +named +change +p", out, re.MULTILINE)
    assert re.search(r"^slow → slower +B → C +", out, re.MULTILINE)
    assert "no such arm" not in out
    assert "stimator" not in out


def test_a_table_says_which_methods_and_tasks_are_the_same(walks, named, cli):
    out = cli("table", "walks", "named")
    assert "\nnamed: slower is the same as walks: slow\n" in out
    assert "\ntask C of named is the same as task B of walks\n" in out
    assert out.splitlines()[2].startswith("method ")
    assert "stimator" not in out


def test_a_renamed_method_with_a_larger_grid_is_known_by_its_runs(tmp_path, walks):
    more = {"slower": {"lr": [0.1, 0.2, 0.3]}}
    spec = method_spec(name="more", tasks={"A": TASKS["A"]}, methods=more)
    middle = lambda task, method, place, seed: (3.0, 1.0, 2.0)[place] + seed  # noqa: E731
    other = store_of(tmp_path, spec, middle)
    (arm, *_) = difference(walks, other).arms
    assert (arm.estimator, arm.renamed) == ("slow", ("slower", "A"))


def test_methods_of_equal_settings_are_paired_in_the_order_of_the_files(tmp_path):
    twins = {"a": {"lr": 0.1}, "b": {"lr": 0.2}}
    first = method_store(tmp_path, name="one", methods=twins)
    swapped = {"y": {"lr": 0.2}, "x": {"lr": 0.1}}
    second = method_store(tmp_path, name="two", methods=swapped)
    pairs = {(arm.estimator, arm.renamed[0]) for arm in difference(first, second).arms}
    assert pairs == {("a", "x"), ("b", "y")}


def test_a_sweep_of_methods_beside_one_of_estimators_speaks_of_rows(tmp_path, walks):
    other = store_of(tmp_path, spec_of(name="other"))
    assert difference(walks, other).row_kind == "row"
