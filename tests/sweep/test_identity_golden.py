"""Identities never change: results of every release must be found again."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.sweep.runs import Configuration, Run, pack_id
from raysweep.sweep.settings import canonical_json
from raysweep.sweepfile.reader import read_spec

GOLDEN = json.loads((Path(__file__).parent / "golden_ids.json").read_text())


def runs_of(sweep):
    spec = read_spec(sweep)
    return {
        f"{arm.name} {json.dumps(cell)} seed {seed}": run.run_id
        for arm in spec.arms
        for cell in arm.cells()
        for seed in spec.seeds
        for run in [Run(arm.configuration(cell), seed)]
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_run_ids_are_those_of_the_first_release(name):
    assert runs_of(GOLDEN[name]["sweep"]) == GOLDEN[name]["ids"]


def configuration(settings, defaults=None, **changes):
    names = {"task": "t", "task_version": 1, "estimator": "e", "estimator_version": 1, **changes}
    return Configuration(settings=settings, defaults=defaults or settings, **names)


def test_a_new_setting_at_its_default_keeps_the_identity():
    old = configuration({"task.a": 2.0}, {"task.a": 1.0})
    new = configuration({"task.a": 2.0, "task.b": 3}, {"task.a": 1.0, "task.b": 3})
    assert old.configuration_id == new.configuration_id


@pytest.mark.parametrize(
    "change", [{"task": "x"}, {"task_version": 2}, {"estimator": "x"}, {"estimator_version": 2}]
)
def test_another_name_or_version_is_another_identity(change):
    assert configuration({}).configuration_id != configuration({}, **change).configuration_id


def test_a_changed_setting_is_another_identity():
    defaults = {"task.a": 1.0}
    assert (
        configuration({"task.a": 1.0}, defaults).configuration_id
        != configuration({"task.a": 2.0}, defaults).configuration_id
    )


def test_lists_and_tuples_are_the_same_setting():
    defaults = {"task.hidden": ()}
    assert (
        configuration({"task.hidden": [1, 2]}, defaults).configuration_id
        == configuration({"task.hidden": (1, 2)}, defaults).configuration_id
    )


def test_canonical_json_is_sorted_and_tight():
    assert canonical_json({"b": 1.0, "a": [True, None, 1e-3, "é"]}) == (
        '{"a":[true,null,0.001,"\\u00e9"],"b":1.0}'
    )


@given(st.lists(st.text("abcdef0123456789", min_size=16, max_size=16), unique=True, min_size=2))
def test_a_packs_identity_depends_on_the_order_of_its_runs(run_ids):
    assert pack_id(run_ids) != pack_id(run_ids[::-1])
