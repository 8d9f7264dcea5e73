"""A small sweep of the troublesome task, and ways to run it."""

import dataclasses
import json

import pytest

import raysweep
from raysweep import registry
from raysweep.estimators.straight_through import StraightThrough
from raysweep.sweep import sources
from raysweep.tasks.base import setting
from raysweep.testing.toy import Toy, ToySettings


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


@pytest.fixture
def declare(monkeypatch):
    """Declares other defaults of the toy task, or of `straight_through`'s temperature."""

    def read_anew():
        for each in (registry._stored_task, registry._settings_of, registry.estimator_settings):
            each.cache_clear()

    def change(temperature=None, **defaults):
        types = {field.name: field.type for field in dataclasses.fields(ToySettings)}
        fields = [
            (name, types.get(name, int), setting(value, "")) for name, value in defaults.items()
        ]
        made = dataclasses.make_dataclass(
            "Declared", fields, bases=(ToySettings,), frozen=True, kw_only=True
        )
        monkeypatch.setattr(Toy, "settings", made)
        if temperature is not None:
            declared = StraightThrough.__init__.__kwdefaults__
            monkeypatch.setitem(declared, "temperature", temperature)
        read_anew()

    yield change
    monkeypatch.undo()
    read_anew()


@pytest.fixture
def edit(monkeypatch):
    """Gives a module another source."""
    real = sources.source_digest

    def change(module="raysweep.testing.toy", digest="0123456789ab"):
        monkeypatch.setattr(
            sources, "source_digest", lambda name: digest if name == module else real(name)
        )

    return change


@pytest.fixture
def cluster(monkeypatch):
    """A cluster whose head trains nothing, and that notices dead nodes within seconds."""
    from ray.cluster_utils import Cluster

    for name, value in (("initial_delay_ms", 1000), ("period_ms", 500), ("failure_threshold", 4)):
        monkeypatch.setenv(f"RAY_health_check_{name}", str(value))
    small = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    head = {"num_cpus": 0, "dashboard_port": None, **small}  # whichever port is free
    found = Cluster(initialize_head=True, head_node_args=head)
    yield found
    found.shutdown()
