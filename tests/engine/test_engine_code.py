"""Edited code: stored runs of other source, and training them anew."""

import pyarrow as pa
import pytest
from engine_helpers import by_run, files_of, statuses

from raysweep.cli.main import main
from raysweep.cli.plan_text import plan_text
from raysweep.driver import again, session
from raysweep.engine import inline as inline_engine
from raysweep.errors import SpecError
from raysweep.formats.status import status_text
from raysweep.store import again_file, checkpoints

CODE = (
    "the code of task toy changed since 6 runs; to train them anew: raysweep run FILE --again "
    "\"task_name = 'toy' and code not like '0123456789ab+%'\" (in Python, again= of raysweep.run)"
)
NEW = "code not like '0123456789ab+%'"


@pytest.fixture
def says(tmp_path, capsys):
    """What a command writes to stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit):
            main([*arguments, "--store", str(tmp_path / "store")])
        return capsys.readouterr().err

    return run


@pytest.fixture
def file(tmp_path, toy):
    """Writes a sweep file."""

    def write(**keys):
        path = tmp_path / "toys.yaml"
        path.write_text(str(toy(**keys)).replace("'", '"').replace("True", "true"))
        return str(path)

    return write


def ids(results, column="pack_id"):
    return {row["run_id"]: row[column] for row in results.runs().to_pylist()}


def curve_rows(results):
    found = results.sql("select run_id, count(*) as n from curves group by run_id")
    return {row["run_id"]: row["n"] for row in found.to_pylist()}


def stopped_after(patch, polls):
    """Makes the next inline session stop by itself after so many looks at the flag."""
    left = iter(range(polls))
    real = inline_engine.run_inline

    def run(schedule, job, stopping, watch):
        real(schedule, job, lambda: next(left, None) is None, watch)

    patch.setattr(inline_engine, "run_inline", run)


@pytest.mark.ray
def test_rows_hold_the_digests_of_task_and_estimator(sweep, toy):
    (code,) = set(sweep(toy()).runs()["code"].to_pylist())
    (arm,) = session.load(toy()).arms
    assert code == arm.code
    assert [len(part) for part in code.split("+")] == [12, 12]


def test_edited_code_is_said_by_every_command(inline, toy, edit, says, file, tmp_path):
    inline(toy())
    edit()
    plan = session.plan(session.load(toy()), tmp_path / "store")
    assert f"\n{CODE}\n" in plan_text(plan)
    assert f"\n{CODE}\n" in status_text(str(tmp_path / "store"), "toys")
    for command in (["run", file(), "--inline"], ["table", "toys"], ["stats", "toys"]):
        assert says(*command).count(CODE) == 1


def test_an_edited_estimator_is_told_apart(inline, toy, edit, says):
    inline(
        toy(estimators={"ST": {"estimator": "straight_through"}, "RM": {"estimator": "reinmax"}})
    )
    edit("raysweep.estimators.reinmax")
    (line,) = says("table", "toys").splitlines()
    condition = "\"estimator_name = 'reinmax' and code not like '%+0123456789ab'\""
    for part in ("estimator reinmax", "6 runs", f"raysweep run FILE --again {condition}"):
        assert part in line


def test_runs_of_unknown_code_and_runs_that_left_the_file_are_no_news(inline, toy, edit, says):
    results = inline(toy(seeds=5))
    inline(toy())
    files = results.store.files
    for name in files.names("runs"):
        table = files.read_table(name)
        place = table.schema.get_field_index("code")
        known = pa.array([row["seed"] > 2 for row in table.to_pylist()])
        codes = pa.compute.if_else(known, table["code"], None)
        files.write_table(name, table.set_column(place, "code", codes))
    edit()
    assert says("table", "toys") == ""


def test_runs_are_trained_anew_on_demand_with_their_curves(inline, toy, edit):
    first = inline(toy(resources={"pack": 4}))
    before, curves = by_run(first), curve_rows(first)
    codes = ids(first, "code")
    edit()
    results = inline(toy(resources={"pack": 4}), again=f"{NEW} and seed = 1")
    assert by_run(results) == before
    assert curve_rows(results) == curves
    changed = {run for run, code in ids(results, "code").items() if code != codes[run]}
    assert {row["seed"] for row in results.runs().to_pylist() if row["run_id"] in changed} == {1}


def test_the_same_condition_on_code_finds_nothing_the_second_time(inline, toy, edit):
    inline(toy())
    edit()
    inline(toy(), again=NEW)
    with pytest.raises(SpecError, match="again: no stored run of the sweep file meets"):
        inline(toy(), again=NEW)


@pytest.mark.parametrize("condition", ["nonsense =", "seed = 77"])
def test_a_refused_condition_leaves_the_file_that_readers_go_by(inline, toy, condition):
    results = inline(toy())
    with pytest.raises(SpecError, match=r"again: .*condition"):
        inline(toy(seeds=5), again=condition)
    assert results.store.spec().seeds == results.spec.seeds


REFUSED = {
    "a source that is missing": {"search": {"sampler": "tpe", "configurations": 2, "from": "no"}},
    "data that is missing": {
        "tasks": {
            "walk": {"task": "toy"},
            "lost": {"task": "categorical_vae", "dataset": "omniglot_burda"},
        }
    },
}


@pytest.mark.parametrize("keys", REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_refused_costs_no_row_and_is_not_what_readers_go_by(
    inline, toy, tmp_path, keys
):
    results = inline(toy())
    before, spec = by_run(results), results.store.files.read("spec.json")
    with pytest.raises(SpecError):
        inline({**toy(), **keys}, again="seed = 0", data=tmp_path / "no data")
    assert by_run(results) == before
    assert results.store.files.read("spec.json") == spec


def test_former_defaults_are_trained_anew(inline, toy, declare):
    inline(toy())
    declare(steps=30)
    with pytest.raises(SpecError) as refused:
        inline(toy())
    condition = refused.value.problems[0].partition('--again "')[2].partition('"')[0]
    assert condition == "param.training.steps = 20"
    assert refused.value.problems[0].endswith('" (in Python, again= of raysweep.run)')
    assert set(inline(toy(), again=condition).runs()["steps"].to_pylist()) == {30}


def test_runs_that_the_file_does_not_plan_stay(inline, toy):
    inline(toy(seeds=5))
    before = ids(inline(toy(seeds=5)), "started_at")
    after = ids(inline(toy(seeds=2), again="task_name = 'toy'"), "started_at")
    assert after.keys() == before.keys()
    assert sum(after[run] == before[run] for run in before) == 6


def test_failures_start_over(inline, toy, trouble):
    spec = toy(task=trouble.task, resources={"max_failures": 1})
    trouble.make(**{"raise": [1]})
    assert statuses(inline(spec))[1, 0.1] == "failed"
    trouble.end()
    assert statuses(inline(spec))[1, 0.1] == "failed"
    results = inline(spec, again="status = 'failed'")
    assert {row["attempts"] for row in results.runs().to_pylist()} == {1}
    assert results.attempts().num_rows == 0


def test_a_search_trains_the_same_configurations_anew(inline, toy, monkeypatch):
    search = {"sampler": "tpe", "configurations": 4}
    spec = toy(training={"lr": {"low": 0.1, "high": 0.3}}, search=search)
    before = by_run(inline(spec))
    with monkeypatch.context() as patch:
        patch.setattr(session, "Schedule", None)  # killed when the rows are gone
        with pytest.raises(TypeError):
            inline(spec, again="true")
    assert by_run(inline(spec)) == before


def test_decisions_on_what_is_trained_anew_are_made_anew(inline, toy):
    asha = {"pruner": "asha", "grace": 5, "reduction": 2}
    spec = toy(training={"lr": [0.01, 0.02, 0.1, 0.3]}, early_stopping=asha)
    first = inline(spec)
    before, ends, decided = by_run(first), statuses(first), len(first.sql("from decisions"))
    assert set(ends.values()) == {"done", "stopped"}
    again_ = inline(spec, again="true")
    assert (by_run(again_), statuses(again_)) == (before, ends)
    assert len(again_.sql("from decisions")) == decided


def test_packs_in_flight_begin_anew(inline, toy, monkeypatch):
    spec = toy(task={"delay_s": 0.2})
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        (manifest,) = checkpoints.in_flight(inline(spec).store.files)
    assert manifest.step > 0
    results = inline(spec, again="seed = 1")
    assert set(ids(results, "started_at").values()).isdisjoint({manifest.started_at})
    assert set(ids(results, "steps_executed").values()) == {20}
    assert set(curve_rows(results).values()) == {4}


@pytest.mark.parametrize("cut", range(8))
def test_a_removal_that_is_killed_anywhere_is_ended_by_the_next_driver(
    inline, toy, monkeypatch, cut
):
    whole = inline(toy(resources={"pack": 4}))
    before, curves = by_run(whole), curve_rows(whole)
    files, left = type(whole.store.files), iter(range(cut))

    def killed(real):
        def change(self, *arguments):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return real(self, *arguments)

        return change

    met = [run for run, seed in ids(whole, "seed").items() if seed == 1]
    with monkeypatch.context() as patch:
        for name in ("write_table", "remove"):
            patch.setattr(files, name, killed(getattr(files, name)))
        try:
            whole.store.remove_runs(met)
        except KeyboardInterrupt:
            rows = [row["run_id"] for row in whole.runs().to_pylist()]
            assert len(rows) == len(set(rows))
    results = inline(toy(resources={"pack": 4}))
    assert by_run(results) == before
    assert curve_rows(results) == curves
    assert len(results.runs()) == len(before)


def test_rm_removes_the_runs_of_a_condition(inline, toy, says):
    results = inline(toy())
    assert says("rm", "toys", "--where", "seed = 1", "--yes") == ""
    assert {row["seed"] for row in results.runs().to_pylist()} == {0, 2}
    assert set(curve_rows(results)) == set(ids(results))
    files = files_of(results)
    assert len(by_run(inline(toy()))) == 6
    assert files.keys() <= files_of(results).keys()


def test_a_removed_configuration_is_forgotten_by_the_search(inline, toy):
    search = {"sampler": "random", "configurations": 3}
    spec = toy(training={"lr": {"low": 0.1, "high": 0.3}}, search=search)
    results = inline(spec)
    inline(spec, again="true")
    assert len(again_file.read(results.store.files)) == 3
    again.remove_for_good(results.store, list(ids(results)))
    assert again_file.read(results.store.files) == {}
