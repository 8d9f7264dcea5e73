"""Which edits change the digest of a source."""

import importlib.util
import os
import subprocess
import sys

import pytest

from raysweep.sweep import sources

TASK = '''"""A task."""
from raysweep.estimators import Noise
from helpers import half  # a comment

class Task:
    """Halves."""

    def run(self, x):
        return half(x)
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A task in a module of its own that imports one beside it; writes either, then digests."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helpers.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "other.py").write_text("")

    def write(name="own_task.py", text=TASK):
        path = tmp_path / name
        path.write_text(text)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + len(text)))
        return sources.source_digest("own_task")

    return write


@pytest.mark.parametrize(
    "text",
    [
        TASK.replace("Halves", "Divides by two"),
        TASK.replace("a comment", "another"),
        TASK.replace("\n\n", "\n\n\n\n"),
    ],
    ids=["docstring", "comment", "blank lines"],
)
def test_words_do_not_count(project, text):
    assert project() == project(text=text)


def test_an_edit_of_the_module_counts(project):
    assert project() != project(text=TASK.replace("half(x)", "half(x) + 0"))


def test_an_edit_of_what_it_imports_counts_and_of_another_module_does_not(project):
    before = project()
    assert project("other.py", "x = 1\n") == before
    assert project("helpers.py", "def half(x):\n    return x * 0.5\n") != before


def test_a_package_is_followed_through_relative_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "pack_of_tasks"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .other import Other\n")
    (folder / "task.py").write_text("from .layers import wide\nfrom . import tools\n")
    for name in ("layers", "tools", "other"):
        (folder / f"{name}.py").write_text(f"{name} = 1\n")
    before = sources.source_digest("pack_of_tasks.task")
    for name, counts in (("other", False), ("layers", True), ("tools", True)):
        (folder / f"{name}.py").write_text(f"{name} = 2 + 2\n")
        after = sources.source_digest("pack_of_tasks.task")
        assert (after != before) is counts, name
        before = after


def test_a_new_estimator_changes_no_other_digest():
    followed = sources._Digest("raysweep.estimators.reinmax").files
    assert {path.name for path in followed} >= {"reinmax.py", "base.py", "noise.py"}
    assert not {path.name for path in followed} & {"__init__.py", "relax.py"}


@pytest.mark.parametrize("module", ["", "no_such_module", "sys", "a/b", "tasks./etc/passwd", "..x"])
def test_what_has_no_source_has_no_digest(module):
    assert sources.source_digest(module) is None
    assert sources.code(module, "raysweep.estimators.reinmax") is None


def test_nothing_is_imported():
    text = (
        "import sys; from raysweep.sweep import sources\n"
        "assert sources.code('raysweep.tasks.vae.categorical', 'raysweep.estimators.reinmax')\n"
        "assert not {'torch', 'raysweep.tasks', 'raysweep.estimators'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", text], check=True)


def test_a_program_has_no_digest_however_it_was_started(tmp_path, monkeypatch):
    (tmp_path / "begun.py").write_text("RATE = 0.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("begun")  # as `python -m begun` leaves it
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    assert sources.source_digest("begun") is not None
    assert sources.source_digest("__main__") is None
