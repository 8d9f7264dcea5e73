"""Every layered estimator trains every belief network that it fits, in packs as alone."""

import io

import pytest
import torch

from raysweep import estimators, tasks

SEEDS = list(range(3, 13))
RATES = [{"lr": 1e-2 / (1 + index % 3)} for index in range(10)]
SHAPES = {
    "generative": ("sbn_generative", {}),
    "generative of one layer": ("sbn_generative", {"latents": (4,)}),
    "generative nonlinear": ("sbn_generative", {"conditional": "nonlinear"}),
    "structured": ("sbn_structured", {}),
    "structured nonlinear": ("sbn_structured", {"conditional": "nonlinear"}),
}
BASELINE = {"rebar": {"baseline": True, "passes": "layers"}, "muprop": {"baseline": True}}


def fits(shape, name):
    task, settings = SHAPES[shape]
    task = tasks.get(task)
    method = estimators.get(name, family="layered")
    return task.check(task.settings(**{"latents": (4, 3), **settings}), method) is None


CASES = [
    (shape, name) for shape in SHAPES for name in estimators.names("layered") if fits(shape, name)
]
over_cases = pytest.mark.parametrize(("shape", "name"), CASES)


@pytest.fixture
def start(train, shape, name):
    """Starts a pack in float64 with an estimator of its own; gives both."""

    def make(seeds=SEEDS, own=RATES):
        method = estimators.get(name, family="layered", **BASELINE.get(name, {}))
        task, settings = SHAPES[shape]
        small = {"latents": (4, 3), "bound_samples": 6, "evaluation_examples": 120}
        settings = {**small, **settings, "dtype": "float64"}
        return train(task, seeds, own, method, **settings), method

    return make


def same(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@over_cases
def test_a_run_is_the_same_alone_and_in_a_pack_of_ten(start):
    pack, together = start()
    metrics = {**pack.advance(12), **pack.evaluate()}
    for replica in (0, 7):
        alone, method = start([SEEDS[replica]], [RATES[replica]])
        for key, value in {**alone.advance(12), **alone.evaluate()}.items():
            same(value[0], metrics[key][replica])
        for key, value in method.state_dict().items():
            same(value[0], together.state_dict()[key][replica])


@over_cases
def test_a_restored_run_resumes_bit_for_bit(start):
    through, method = start(SEEDS[:3], RATES[:3])
    through.advance(5)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored, twin = start(SEEDS[:3], RATES[:3])
    restored.load_state_dict(torch.load(file, weights_only=True))
    first, second = through.advance(5), restored.advance(5)
    assert all(torch.equal(first[key], second[key]) for key in first)
    for key, value in method.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


@over_cases
def test_kept_replicas_continue(start):
    whole, _ = start(SEEDS[:3], RATES[:3])
    cut, _ = start(SEEDS[:3], RATES[:3])
    for training in (whole, cut):
        training.advance(4)
    cut.select(torch.tensor([2, 0]))
    first, second = whole.advance(6), cut.advance(6)
    for key, value in first.items():
        same(second[key], value[[2, 0]])
    for key, value in whole.evaluate().items():
        same(cut.evaluate()[key], value[[2, 0]])


def test_only_what_cannot_run_is_left_out():
    left_out = {
        shape: {name for name in estimators.names("layered") if (shape, name) not in CASES}
        for shape in SHAPES
    }
    moments = {"adf", "local_reparam"}
    assert left_out == {
        "generative": {"psa", *moments},
        "generative of one layer": set(),
        "generative nonlinear": {"psa", *moments},
        "structured": set(),
        "structured nonlinear": moments,
    }
