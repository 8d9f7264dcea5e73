"""A small sweep of the troublesome task, and ways to run it."""

import json

import pytest

import raysweep


@pytest.fixture
def toy():
    """Builds the content of a sweep file; keyword arguments replace its keys."""

    def build(task=(), estimators=None, **keys):
        return {
            "name": "toys",
            "tasks": {"walk": {"task": "toy", **dict(task)}},
            "estimators": estimators or {"ST": {"estimator": "straight_through"}},
            "training": {"lr": [0.1, 0.3]},
            "seeds": 3,
            **keys,
        }

    return build


@pytest.fixture
def sweep(tmp_path, executor):
    """Runs a sweep by the present executor; returns its results."""

    def run(spec, **options):
        return raysweep.run(spec, store=tmp_path / "store", **executor, **options)

    return run


@pytest.fixture
def inline(tmp_path):
    """Runs a sweep in this process; returns its results."""

    def run(spec, store="store", **options):
        return raysweep.run(spec, store=tmp_path / store, inline=True, **options)

    return run


@pytest.fixture
def trouble(tmp_path):
    """Writes which seeds make trouble; `task` is what the task's settings need."""

    class Trouble:
        path = tmp_path / "trouble.json"
        task = {"trouble": str(path)}  # noqa: RUF012

        def make(self, **told):
            self.path.write_text(json.dumps(told))

        def end(self):
            self.path.unlink()

    return Trouble()
