"""What becomes of a pack that failed, decided from its checkpoint alone."""

import contextlib
import dataclasses
import itertools

import pyarrow as pa
import pytest

from raysweep.scheduling.failures import LONGEST_PAUSE_S, Recovery, Retry, RunFailed
from raysweep.store import checkpoints, handover
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.curve_files import of_pack
from raysweep.store.files import Files
from raysweep.sweep.packs import PlannedRun, make_pack

IDS = [f"{number:016x}" for number in range(4)]


def pack_of(ids):
    runs = [PlannedRun(run_id, run_id, 0, "task", "estimator", {}) for run_id in ids]
    return make_pack("toy", "straight_through", runs)


def state_at(step):
    return {"training": {"step": step}, "curve": {}, "final": {}}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "sweep")


@pytest.fixture
def train(files):
    """Writes a checkpoint of a pack at a step, with curves up to it and beyond."""

    def run(pack, step, executed=None):
        active = tuple(each.run_id for each in pack.runs)
        manifest = Manifest(pack, step, active, (), executed or step, 1.0, "2026-01-01")
        Checkpoints(files, pack.pack_id).write(manifest, state_at(step))
        for first in range(5, step + 10, 5):
            rows = {"run_id": list(active), "step": [first] * len(active)}
            files.write_table(f"curves/{pack.pack_id}-{first}.parquet", pa.table(rows))
        return pack

    return run


def curve_rows(files):
    tables = [files.read_table(name).to_pylist() for name in files.names("curves")]
    return sorted((row["run_id"], row["step"]) for row in itertools.chain(*tables))


@pytest.mark.parametrize("kind", ["run", "hung", "memory"])
def test_a_pack_whose_runs_are_to_blame_is_halved(files, train, kind):
    found = Recovery(files).recover(train(pack_of(IDS), 10), kind)
    assert isinstance(found, Retry)
    assert [[run.run_id for run in half.runs] for half in found.packs] == [IDS[:2], IDS[2:]]


def test_halves_have_the_state_and_the_curves_up_to_it(files, train):
    pack = train(pack_of(IDS), 10)
    halves = Recovery(files).recover(pack, "run").packs
    for half in halves:
        manifest = Checkpoints(files, half.pack_id).manifest()
        assert [run.run_id for run in manifest.runs_of_state] == IDS
        assert Checkpoints(files, half.pack_id).state(manifest, "cpu") == state_at(10)
    assert curve_rows(files) == sorted(itertools.product(IDS, (5, 10)))
    assert files.folders("checkpoints") == sorted(half.pack_id for half in halves)


def test_quarters_have_the_state_of_their_halves(files, train):
    half, _ = Recovery(files).recover(train(pack_of(IDS), 10), "run").packs
    quarters = Recovery(files).recover(half, "run").packs
    manifests = [Checkpoints(files, each.pack_id).manifest() for each in quarters]
    assert [manifest.active for manifest in manifests] == [(IDS[0],), (IDS[1],)]
    assert all(len(manifest.runs_of_state) == 4 for manifest in manifests)


def test_halves_of_a_pack_without_a_state_begin_at_the_beginning(files, train):
    halves = Recovery(files).recover(train(pack_of(IDS), 0), "run").packs
    assert len(halves) == 2
    assert files.folders("checkpoints") == []
    assert curve_rows(files) == []


class Cut(Exception):
    """Stands for a kill."""


class CutFiles(Files):
    """Files of a process that is killed at its n-th change."""

    left = 0

    def _change(self):
        if self.left == 0:
            raise Cut
        self.left -= 1

    def write(self, name, data):
        self._change()
        super().write(name, data)

    def write_table(self, name, table):
        self._change()
        super().write_table(name, table)

    def remove(self, name):
        self._change()
        super().remove(name)


def test_damaged_curves_do_not_cost_the_halves_their_state(files, train, caplog):
    pack = train(pack_of(IDS), 10)
    name = f"curves/{pack.pack_id}-5.parquet"
    files.write(name, b"PAR1 and no more")
    found = Recovery(files).recover(pack, "run")
    for half in found.packs:
        assert Checkpoints(files, half.pack_id).manifest().step == 10
    assert curve_rows(files) == [(run_id, 10) for run_id in IDS]
    assert files.exists(f"damaged/{name}")
    assert "the curves of 4 runs are lost, at least in part" in caplog.text
    assert f"--again \"run_id in ('{IDS[0]}', " in caplog.text  # its pack will be no more


def test_damaged_curves_of_a_pack_whose_worker_died_are_said(files, train, caplog):
    pack = train(pack_of(IDS), 10)
    files.write(f"curves/{pack.pack_id}-5.parquet", b"PAR1 and no more")
    assert Recovery(files).recover(pack, "died").packs == (pack,)
    assert "the curves of 4 runs are lost, at least in part" in caplog.text


def test_a_copy_among_the_curves_does_not_disturb(files, train):
    pack = train(pack_of(IDS), 10)
    copied = f"curves/{pack.pack_id}-5 (copy).parquet"
    files.write(copied, files.read(f"curves/{pack.pack_id}-5.parquet"))
    assert len(Recovery(files).recover(pack, "run").packs) == 2
    assert files.exists(copied)


@pytest.mark.parametrize("changes", range(16))
def test_a_kill_while_a_pack_is_halved_leaves_each_run_a_state_and_its_curves(
    files, train, changes
):
    """The next session takes the smallest packs first, as halves come after their pack."""
    pack = train(pack_of(IDS), 10)
    manifest = Checkpoints(files, pack.pack_id).manifest()
    cut = CutFiles(files.root)
    cut.left = changes
    with contextlib.suppress(Cut):
        handover.divide(cut, pack.pack_id, manifest, pack.split())
    adopted = {}
    for each in sorted(checkpoints.in_flight(files), key=lambda found: len(found.pack.runs)):
        assert Checkpoints(files, each.pack.pack_id).state(each, "cpu") == state_at(10)
        for run in each.pack.runs:
            adopted.setdefault(run.run_id, each.pack.pack_id)
    assert set(adopted) == set(IDS)
    for run_id, pack_id in adopted.items():
        own = [files.read_table(each.name).to_pylist() for each in of_pack(files, pack_id)]
        steps = [row["step"] for row in itertools.chain(*own) if row["run_id"] == run_id]
        assert {5, 10} <= set(steps)


@pytest.mark.parametrize("changes", range(4))
def test_a_kill_while_a_pack_is_forgotten_leaves_no_manifest_without_curves(files, train, changes):
    pack = train(pack_of(IDS), 10)
    before = curve_rows(files)
    cut = CutFiles(files.root)
    cut.left = changes
    with contextlib.suppress(Cut):
        handover.forget(cut, pack.pack_id)
    assert not checkpoints.in_flight(files) or curve_rows(files) == before
    assert not curve_rows(files) or files.folders("checkpoints") == [pack.pack_id]


def test_a_run_alone_fails_and_starts_over(files, train):
    pack = train(pack_of(IDS[:1]), 10, executed=17)
    found = Recovery(files).recover(pack, "run", {"device": "cpu"})
    assert isinstance(found, RunFailed)
    assert (found.executed, found.columns["device"]) == (17, "cpu")
    assert files.folders("checkpoints") == []
    assert curve_rows(files) == []


def test_a_first_death_resumes_the_whole_pack_after_a_pause(files, train):
    pack = train(pack_of(IDS), 10)
    found = Recovery(files).recover(pack, "died")
    assert found.packs == (pack,)
    assert 0 < found.pause_s < 5


def test_a_second_death_without_a_newer_checkpoint_halves_the_pack(files, train):
    pack, recovery = train(pack_of(IDS), 10), Recovery(files)
    recovery.recover(pack, "died")
    assert len(recovery.recover(pack, "died").packs) == 2


def test_deaths_with_a_newer_checkpoint_between_them_do_not_count(files, train):
    pack, recovery = pack_of(IDS[:1]), Recovery(files)
    for step in range(10, 100, 10):
        assert recovery.recover(train(pack, step), "died").packs == (pack,)


def test_a_run_that_died_keeps_its_checkpoint_for_the_next_attempt(files, train):
    pack, recovery = train(pack_of(IDS[:1]), 10), Recovery(files)
    recovery.recover(pack, "died")
    assert isinstance(recovery.recover(pack, "died"), RunFailed)
    assert Checkpoints(files, pack.pack_id).manifest().step == 10


def test_lost_nodes_never_count_and_pauses_grow_to_a_minute(files, train):
    pack, recovery = train(pack_of(IDS[:1]), 10), Recovery(files)
    pauses = [recovery.recover(pack, "lost").pause_s for _ in range(20)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_lost_node_between_two_deaths_leaves_two_deaths(files, train):
    pack, recovery = train(pack_of(IDS[:1]), 10), Recovery(files)
    found = [recovery.recover(pack, kind) for kind in ("died", "lost", "died")]
    assert [isinstance(each, Retry) for each in found] == [True, True, False]


def test_a_checkpoint_that_cannot_be_restored_is_kept_aside(files, train, caplog):
    pack = train(pack_of(IDS), 10, executed=13)
    (again,) = Recovery(files).recover(pack, "restore").packs
    assert again.pack_id == pack.pack_id
    assert {run.executed for run in again.runs} == {13}
    assert files.names(f"damaged/checkpoints/{pack.pack_id}", ".pt")
    assert files.folders("checkpoints") == []
    assert curve_rows(files) == []
    assert f"pack {pack.pack_id} cannot be restored" in caplog.text


def test_a_pack_with_a_damaged_manifest_starts_over_whatever_failed(files, train, caplog):
    pack = train(pack_of(IDS), 10)
    files.write(f"checkpoints/{pack.pack_id}/manifest.json", b"{")
    (again,) = Recovery(files).recover(pack, "died").packs
    assert [run.run_id for run in again.runs] == IDS
    assert files.folders("checkpoints") == []


def test_a_manifest_keeps_the_runs_of_its_state(files, train):
    (manifest,) = [checkpoints.in_flight(files)[0] for _ in [train(pack_of(IDS), 10)]]
    own = dataclasses.replace(manifest, state_runs=manifest.runs_of_state, active=(IDS[2],))
    again = Manifest.from_json(own.to_json())
    assert [run.run_id for run in again.runs_of_state] == IDS
