"""A default that changes: stored runs that no longer are what their ids say."""

import pyarrow as pa
import pytest
from chart_helpers import data
from engine_helpers import files_of

import raysweep
from raysweep.cli.main import main
from raysweep.driver import session
from raysweep.engine import inline as inline_engine
from raysweep.errors import SpecError
from raysweep.figures.scope import Request, SweepView
from raysweep.formats.status import status_text
from raysweep.store import checkpoints
from raysweep.testing.toy import Toy

CHANGED = "the default of toy.steps changed since 6 runs: 20 → 30; raise its version, or write"
SEARCH = {
    "training": {"lr": {"low": 0.1, "high": 0.3}},
    "search": {"sampler": "random", "configurations": 2},
}


@pytest.fixture
def opened(tmp_path):
    """Opens the results of the sweep."""
    return lambda: raysweep.open(tmp_path / "store", "toys")


@pytest.fixture
def planned(tmp_path):
    """Plans a sweep."""
    return lambda spec: session.plan(session.load(spec), tmp_path / "store")


@pytest.fixture
def mixed(inline, toy, declare):
    """A store with runs of 20 steps on some seeds, of 30 on others, and a file that plans both."""

    def make(old, new, **keys):
        inline(toy(seeds=old, **keys))
        declare(steps=30)
        results = inline(toy(seeds=new, **keys))
        both = toy(seeds=sorted([*old, *new]), **keys)
        with pytest.raises(SpecError, match="changed since"):
            inline(both)
        results.store.write_spec(session.load(both))  # as an earlier version left it

    return make


@pytest.mark.parametrize(
    "more", [{}, {"seeds": 5}, SEARCH], ids=["the same file", "more seeds", "a search"]
)
def test_a_changed_default_is_refused_by_run_and_plan(inline, toy, declare, planned, opened, more):
    inline(toy(**(more if more is SEARCH else {})))
    before = files_of(opened())
    declare(steps=30)
    for command in (inline, planned):
        with pytest.raises(SpecError) as refused:
            command(toy(**more))
        (line,) = refused.value.problems
        assert line.startswith(f"{CHANGED} steps: 20, or ")
    assert files_of(opened()) == before


def test_a_refused_file_is_not_what_readers_go_by(inline, toy, declare, opened):
    inline(toy())
    declare(steps=30)
    with pytest.raises(SpecError):
        inline(toy(seeds=5))
    assert opened().spec.seeds == (0, 1, 2)


def test_a_changed_default_of_an_estimator_is_refused(inline, toy, declare):
    inline(toy())
    declare(temperature=2.0)
    with pytest.raises(SpecError, match=r"straight_through.temperature .* 6 runs: 1.0 → 2.0; "):
        inline(toy())


def test_every_changed_default_has_a_line(inline, toy, declare):
    inline(toy())
    declare(steps=30, window=10, noise=0.2)
    with pytest.raises(SpecError) as refused:
        inline(toy())
    names = [line.split(" ")[3] for line in refused.value.problems]
    assert names == ["toy.noise", "toy.steps", "toy.window"]


def test_a_new_setting_at_its_default_keeps_every_run(inline, toy, declare):
    before = files_of(inline(toy()))
    declare(size=1, extra=7)
    assert files_of(inline(toy())).keys() == before.keys()
    assert inline(toy(seeds=5)).table().cells[0].n == 5


def test_a_raised_version_runs_anew(inline, toy, declare, monkeypatch):
    inline(toy())
    declare(steps=30)
    monkeypatch.setattr(Toy, "version", 2)
    assert inline(toy()).table().cells[0].n == 3


def test_the_former_default_in_the_file_runs_anew(inline, toy, declare):
    inline(toy())
    declare(steps=30)
    results = inline(toy(task={"steps": 20}))
    assert [cell.n for cell in results.table().cells] == [3]
    assert results.table().outdated == ()


def test_runs_outside_the_plan_are_not_compared(inline, toy, declare):
    inline(toy(seeds=2))
    declare(steps=30)
    (cell,) = inline(toy(seeds=[2, 3])).table().cells
    assert sorted(cell.values) == [2, 3]


@pytest.mark.parametrize(("old", "new"), [([0, 1], [2, 3]), ([2, 3], [0, 1])], ids=str)
@pytest.mark.parametrize("keys", [{}, SEARCH], ids=["grid", "search"])
def test_a_cell_never_mixes_two_defaults(mixed, opened, old, new, keys):
    mixed(old, new, **keys)
    table = opened().table()
    assert set(table.cells[0].values) <= set(new)
    assert table.outdated[0].startswith("the default of toy.steps changed since 4 runs: 20 → 30")
    assert "left out: the default of toy.steps" in table.render("text")


def test_a_cell_never_mixes_two_defaults_in_a_store_without_definitions(mixed, opened):
    mixed([0, 1], [2, 3])
    files = opened().store.files
    for name in files.names("runs"):
        table = files.read_table(name)
        place = table.schema.get_field_index("definition")
        nulls = pa.nulls(table.num_rows, pa.string())
        files.write_table(name, table.set_column(place, "definition", nulls))
    assert sorted(opened().table().cells[0].values) == [2, 3]


def test_figures_leave_runs_of_a_former_default_out(mixed, opened):
    mixed([0, 1], [2, 3])
    scope = SweepView.of(opened(), Request())
    assert sorted(scope.cells()[0].values) == [2, 3]
    assert sum("seed" in record for record in data(opened().plot("seeds"))) == 2


def test_status_says_it_and_does_not_count_them(mixed, opened):
    mixed([0, 1], [2, 3])
    text = status_text(opened().store.store.uri, "toys")
    assert "4 of 8 planned runs ended; no driver" in text
    assert "\nthe default of toy.steps changed since 4 runs: 20 → 30; raise its version" in text


@pytest.mark.parametrize(
    "command",
    [["table", "--format", "csv"], ["stats"], ["plot", "--out", "x.png"], ["report"]],
    ids=lambda each: each[0],
)
def test_commands_say_it(mixed, opened, capsys, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    mixed([0, 1], [2, 3])
    with pytest.raises(SystemExit):
        main([command[0], "toys", "--store", opened().store.store.uri, *command[1:]])
    assert "the default of toy.steps changed since 4 runs: 20 → 30" in capsys.readouterr().err


def test_a_default_that_was_null_is_one_too(inline, toy, declare):
    inline(toy())
    declare(window=10)
    with pytest.raises(SpecError, match=r"toy.window changed since 6 runs: null → 10; .* is null"):
        inline(toy())


def test_packs_in_flight_with_a_former_default_are_refused(
    inline, toy, declare, planned, monkeypatch
):
    spec = toy(task={"delay_s": 0.2})
    left = iter(range(2))
    real = inline_engine.run_inline
    with monkeypatch.context() as patch:
        patch.setattr(
            inline_engine,
            "run_inline",
            lambda schedule, job, stopping, tell: real(
                schedule, job, lambda: next(left, None) is None, tell
            ),
        )
        part = inline(spec)
    assert checkpoints.in_flight(part.store.files)
    declare(steps=30)
    with pytest.raises(SpecError, match=r"toy\.steps changed since 6 runs: 20 → 30"):
        planned(spec)


@pytest.mark.parametrize(("old", "new"), [([0, 1], [2, 3]), ([2, 3], [0, 1])], ids=str)
def test_a_search_learns_nothing_from_runs_of_a_former_default(mixed, inline, toy, old, new):
    mixed(old, new)
    search = {"sampler": "tpe", "configurations": 2, "from": "toys"}
    with pytest.raises(SpecError, match="none of the 0 finished configurations of sweep 'toys'"):
        inline(toy(name="second", search=search))
