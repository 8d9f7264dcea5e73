"""The private folder of a local Ray."""

import fcntl
from pathlib import Path

import pytest

from raysweep.engine.scratch import LONGEST, scratch_folder


@pytest.fixture
def base(tmp_path_factory, monkeypatch):
    """A short folder for temporary files."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_only_the_user_can_enter_the_folder(base):
    with scratch_folder() as folder:
        assert Path(folder).parent.stat().st_mode & 0o777 == 0o700
        assert Path(folder).parent.parent == base


def test_the_folder_is_removed_at_the_end(base):
    with scratch_folder() as folder:
        Path(folder).mkdir()
        (Path(folder) / "log").write_text("…")
    assert list(base.iterdir()) == []


def abandoned(base):
    folder = base / "raysweep-abcdefgh"
    (folder / "ray").mkdir(parents=True)
    (folder / "lock").touch()
    return folder


def test_the_folder_of_a_killed_driver_is_removed_by_the_next(base):
    folder = abandoned(base)
    with scratch_folder():
        assert not folder.exists()


def test_the_folder_of_a_living_driver_is_kept(base):
    folder = abandoned(base)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with scratch_folder():
            assert folder.exists()


def test_other_folders_are_kept(base):
    folder = base / "raysweep-abcdefgh"
    folder.mkdir()
    (base / "raysweep-12345678").symlink_to(folder)
    with scratch_folder():
        assert len(list(base.iterdir())) == 3


def test_paths_of_sockets_are_short_enough_wherever_temporary_files_go(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 10)))
    with scratch_folder() as folder:
        assert len(folder) <= LONGEST


def test_a_folder_that_another_driver_just_makes_is_kept(base, monkeypatch):
    lock = fcntl.flock
    kept = []

    def starting(*arguments):
        monkeypatch.setattr(fcntl, "flock", lock)
        with scratch_folder():  # of another driver, before the lock of the first is taken
            pass
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", starting)
    with scratch_folder() as folder:
        kept.append(Path(folder).parent.exists())
    assert kept == [True]
