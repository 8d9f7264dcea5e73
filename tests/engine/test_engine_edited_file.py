"""An edited sweep file that hides results: which and how many is said, and they stay."""

import contextlib

import pytest

from raysweep.cli.main import main
from raysweep.cli.plan_text import plan_text
from raysweep.driver import session

TWO = {"ST": {"estimator": "straight_through"}, "RM": {"estimator": "reinmax"}}


@pytest.fixture
def says(tmp_path, capsys):
    """The lines on stored runs that the file does not plan: of a plan, and of the session after."""

    def run(spec):
        path = tmp_path / "toys.yaml"
        path.write_text(str(spec).replace("'", '"'))
        capsys.readouterr()
        plan = plan_text(session.plan(session.load(spec), tmp_path / "store"))
        with pytest.raises(SystemExit):
            main(["run", str(path), "--inline", "--store", str(tmp_path / "store")])
        found = [
            [line for line in text.splitlines() if "this file" in line or "the file" in line]
            for text in (plan, capsys.readouterr().err)
        ]
        assert found[0] == found[1]
        return found[0]

    return run


@pytest.mark.parametrize(
    ("edit", "count"),
    [({"seeds": 2}, 4), ({"training": {"lr": [0.1]}}, 6)],
    ids=["fewer seeds", "fewer choices"],
)
def test_what_the_file_no_longer_plans_is_counted(inline, toy, says, edit, count):
    results = inline(toy(estimators=TWO))
    (line,) = says(toy(estimators=TWO, **edit))
    each = count // 2
    for part in (f"{count} stored runs", f"RM · walk: {each}", f"ST · walk: {each}", "stay"):
        assert part in line
    assert results.runs().num_rows == 12


def test_an_arm_that_left_the_file_is_named(inline, toy, says):
    inline(toy(estimators=TWO))
    (line,) = says(toy())
    assert line == (
        "toys holds 6 runs of 1 arm that this file does not have (RM · walk: 6); "
        "they stay in the store"
    )


def test_a_renamed_arm_hides_nothing(inline, toy, says):
    inline(toy(estimators=TWO))
    names = {"first": TWO["ST"], "second": TWO["RM"]}
    assert says(toy(estimators=names)) == []


@pytest.mark.parametrize(
    "search",
    [
        {"search": {"sampler": "grid", "batch": 1}},
        {"search": {"sampler": "random", "configurations": 1}},
        {"seeds": {"search": 2, "report": 2}, "select": {"metric": "distance", "mode": "max"}},
    ],
    ids=["batches", "fewer configurations", "another selection"],
)
def test_a_search_that_goes_on_hides_nothing(inline, toy, says, search):
    lr = {"low": 0.1, "high": 0.3} if "configurations" in str(search) else [0.1, 0.3]
    first = {**search, "select": {"metric": "train_loss"}}
    if "configurations" in str(search):
        first["search"] = {**search["search"], "configurations": 3}
    inline(toy(training={"lr": lr}, **first))
    assert says(toy(training={"lr": lr}, **search)) == []


def test_another_file_of_the_same_name_is_said_before_it_takes_over(inline, toy, says):
    results = inline(toy())
    (line,) = says(toy(task={"target": 1.0}, seeds=2))
    assert line.startswith("the file plans none of the 6 runs of toys in the store (ST · walk: 6);")
    assert line.endswith("choose another name")
    assert results.runs().num_rows == 10


def test_another_file_of_the_same_name_with_other_arms_is_said_with_their_number(inline, toy, says):
    inline(toy(estimators=TWO))
    other = toy(estimators={"RF": {"estimator": "reinforce"}})
    (line,) = says(other)
    assert line == (
        "toys holds 12 runs of 2 arms that this file does not have (RM · walk: 6, ST · walk: 6); "
        "they stay in the store, but the result table now follows this file; to keep the sweeps "
        "apart, choose another name"
    )


def test_it_is_said_before_anything_trains(inline, toy, tmp_path):
    results, told = inline(toy()), []

    class Progress:
        def say(self, lines):
            told.extend((line.partition(" (")[0], results.runs().num_rows) for line in lines)

        shows = None

        def watching(self, schedule):
            return contextlib.nullcontext(lambda progress: None)

    options = {"store": tmp_path / "store", "data": None, "address": None, "inline": True}
    session.drive(session.load(toy(seeds=[0, 1, 9])), progress=Progress(), **options)
    assert told[1:] == [("the file no longer plans 2 stored runs", 6)]
