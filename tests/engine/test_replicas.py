"""Settings, replicas and estimator of a pack."""

import pytest
import torch

from raysweep import registry
from raysweep.engine.replicas import assemble
from raysweep.sweep.packs import Pack, PlannedRun

CPU = torch.device("cpu")


def pack_of(temperatures, **training):
    """A pack with a run for each temperature."""
    declared = {
        **registry.task_settings("polynomial"),
        **registry.estimator_settings("categorical", "st_gumbel_softmax"),
    }
    defaults = {key: setting.default for key, setting in declared.items()}
    training = {f"training.{key}": value for key, value in training.items()}
    runs = [
        PlannedRun(
            f"{seed:016x}",
            str(seed),
            seed,
            "t",
            "e",
            {**defaults, "estimator.temperature": value, **training},
        )
        for seed, value in enumerate(temperatures)
    ]
    return Pack("0" * 16, "polynomial", "st_gumbel_softmax", runs, None)


def method_of(pack, runs):
    return assemble(pack, runs, CPU)[2]


def test_settings_in_which_runs_differ_are_tensors():
    pack = pack_of([0.5, 2.0])
    assert method_of(pack, pack.runs).temperature.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_left_of_a_pack_has_the_number_that_it_had(dtype):
    pack = pack_of([0.53, 5.0], dtype=dtype)
    together = method_of(pack, pack.runs).temperature[0]
    alone = method_of(pack, pack.runs[:1]).temperature
    assert isinstance(alone, float)
    assert alone == together.item()
