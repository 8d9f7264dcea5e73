"""Commands that read a sweep which is not there say in one line what is."""

import shutil

import pytest
from figure_helpers import loss, spec_of, store_of

from raysweep.cli.main import main

COMMANDS = [
    ["logs"],
    ["logs", "0123"],
    ["status"],
    ["status", "--failed"],
    ["table"],
    ["stats"],
    ["top"],
    ["sql", "select 1"],
    ["importance"],
    ["export", "--csv", "x.csv"],
    ["plot", "--kind", "curves", "--out", "x.png"],
    ["report"],
    ["rm", "--yes"],
    ["compact"],
    ["doctor"],
]


def words(command, sweep):
    return [command[0], sweep, *command[1:]]


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    store_of(folder, spec_of(name="hand"), loss)
    return folder


@pytest.fixture
def refused(capsys):
    """The one line of an error of a command."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in arguments])
        (line,) = capsys.readouterr().err.splitlines()
        assert stopped.value.code == 2
        return line

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_sweep_that_is_not_there_is_refused_with_those_that_are(store, refused, command):
    line = refused(*words(command, "hands"), "--store", store)
    assert line == (
        f"raysweep: expected a sweep in {store}, got 'hands'; did you mean 'hand'? (known: hand)"
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_name_that_no_sweep_can_have_is_refused_with_those_that_are(store, refused, command):
    line = refused(*words(command, "Hand"), "--store", store)
    assert line.endswith("got 'Hand'; did you mean 'hand'? (known: hand)")


def empty(store):
    shutil.rmtree(store / "hand")
    return store


def other_files(store):
    shutil.rmtree(store / "hand")
    (store / "notes.txt").write_text("")
    (store / "data").mkdir()
    return store


STORES = {
    "empty": (empty, "the store is empty"),
    "missing": (lambda store: store / "nowhere", "there is no such folder"),
    "of other files": (other_files, "the store has no sweep, but data/, notes.txt"),
    "a sweep": (lambda store: store / "hand", "that is the folder of the sweep hand, whose store"),
}


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_without_sweeps_is_described(store, refused, command, kind):
    change, text = STORES[kind]
    folder = change(store)
    line = refused(*words(command, "hand"), "--store", folder)
    assert line.startswith(f"raysweep: expected a sweep in {folder}, got 'hand'; {text}")


@pytest.mark.parametrize("kind", STORES)
def test_the_list_of_a_store_without_sweeps_describes_it(store, capsys, kind):
    change, text = STORES[kind]
    folder = change(store)
    for command in (["ls"], ["status"], ["ls", "--tag", "draft"]):
        with pytest.raises(SystemExit):
            main([*command, "--store", str(folder)])
        assert capsys.readouterr().out.startswith(f"no sweeps in {folder}: {text}")


def test_the_latest_sweep_of_a_store_without_sweeps_is_refused_with_its_description(store, refused):
    line = refused("table", "--latest", "--store", store / "hand")
    assert line.startswith(f"raysweep: no sweeps in {store / 'hand'}: that is the folder of the")


def test_a_tag_that_no_sweep_has_is_answered_with_those_that_they_have(store, capsys):
    store_of(store, spec_of(name="tagged", tags=["draft", "cpu"]), loss)
    with pytest.raises(SystemExit):
        main(["ls", "--tag", "final", "--store", str(store)])
    assert capsys.readouterr().out.endswith(f" in {store}; tags there: cpu, draft\n")


def test_an_id_that_fits_no_run_is_refused_with_the_way_to_list_them(store, refused):
    line = refused("logs", "hand", "zzz", "--store", store)
    assert line.endswith(
        "got 'zzz'; 'raysweep sql hand \"select run_id, pack_id from runs\"' lists them"
    )


def test_an_id_of_a_sweep_without_ended_runs_is_refused_with_that_reason(tmp_path, refused):
    store_of(tmp_path, spec_of(name="begun"), lambda *_: None)
    line = refused("logs", "begun", "zzz", "--store", tmp_path)
    assert line.endswith("got 'zzz'; none has ended yet")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("logs", "'raysweep ls' lists the sweeps of the store"),
        ("table", "'raysweep ls' lists the sweeps of the store"),
        ("diff", "'raysweep ls' lists the sweeps of the store"),
        ("check", "'raysweep info' lists the tasks"),
        ("run", "give a sweep file"),
    ],
)
def test_a_missing_name_is_refused_with_the_way_to_list_names(refused, command, hint):
    assert refused(command).endswith(f"; {hint}")
