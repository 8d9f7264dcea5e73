"""What an estimate was built for, and what it is given: contexts, sizes, replicas."""

import pytest
import torch
from estimator_cases import cases, categories_of

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf


def sum_of_squares(one_hot):
    return one_hot[..., 0].sum(-1) ** 2


CONTEXTUAL = [("nvil", {}), ("muprop", {"baseline": True}), ("relax", {})]
contextual = pytest.mark.parametrize(("name", "settings"), CONTEXTUAL)


@contextual
@pytest.mark.parametrize(("given", "shown"), [(None, "no context"), (4, "a context of 4 features")])
def test_another_context_than_was_built_for_is_refused(name, settings, given, shown):
    method = estimators.get(name, **settings)
    method.build(2, 3, context=5)
    x = None if given is None else torch.zeros(7, given)
    with pytest.raises(ValueError, match=f"{name} was built .* 5 features, .*; got .*{shown}"):
        method.estimate(torch.zeros(7, 2, 3), sum_of_squares, Noise(), context=x)


@pytest.mark.parametrize("name", ["nvil", "relax"])
def test_a_context_that_was_not_built_for_is_refused(name):
    method = estimators.get(name)
    method.estimate(torch.zeros(7, 2, 3), sum_of_squares, Noise())
    if name == "nvil":
        method.build(2, 3)
    with pytest.raises(ValueError, match=r"no context, .*; got .* a context of 4 feat"):
        method.estimate(torch.zeros(7, 2, 3), sum_of_squares, Noise(), context=torch.zeros(7, 4))


@cases()
@pytest.mark.parametrize("shape", [(5, 1, 4), (1, 4), (4,), (6, 4)], ids=str)
def test_a_context_of_another_batch_is_refused(name, settings, shape):
    logits = torch.zeros(5, 2, categories_of(name, settings))
    with pytest.raises(ValueError, match=r"the logits' batch \(5,\), got shape .*; expand it"):
        estimators.get(name, **settings).estimate(
            logits, sum_of_squares, Noise(), context=torch.zeros(shape)
        )


@contextual
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float64])
def test_a_context_may_have_any_format(name, settings, dtype):
    method = estimators.get(name, **settings)
    x = torch.ones(7, 4, dtype=dtype)
    out = method.estimate(torch.zeros(7, 2, 3), sum_of_squares, Noise(), context=x)
    assert out.tuning_loss.dtype == torch.float32


@pytest.mark.parametrize("name", ["rebar", "relax", "rodeo", "double_cv", "muprop", "nvil"])
@pytest.mark.parametrize("shape", [(2, 4, 3, 2), (1, 3, 2), (3, 2)], ids=str)
def test_logits_that_do_not_lead_with_the_built_replicas_are_refused(name, shape):
    method = estimators.get(name)
    method.build(3, 2, replicas=3)
    with pytest.raises(ValueError, match=f"{name} was built for 3 replicas, so logits must lead"):
        method.estimate(torch.zeros(shape), sum_of_squares, Noise())


@pytest.mark.parametrize("name", ["rebar", "relax", "rodeo", "double_cv", "muprop", "nvil"])
def test_logits_of_another_size_than_was_built_for_are_refused(name):
    method = estimators.get(name)
    method.build(4, 3)
    with pytest.raises(ValueError, match=f"{name} was built for L = 4, C = 3, .*; got L = 12, C"):
        method.estimate(torch.zeros(5, 12, 2), sum_of_squares, Noise())


def test_an_estimator_that_learns_nothing_takes_any_size():
    method = estimators.get("reinforce_loo")
    for shape in ((5, 2, 3), (4, 6, 2)):
        out = method.estimate(torch.zeros(shape), sum_of_squares, Noise())
        method.build(*shape[-2:])
        assert out.sample.shape == shape


@pytest.mark.parametrize("sizes", [(0, 3, None, None), (2, 3, 0, None), (2, 3, None, -1)])
def test_building_for_nothing_is_refused(sizes):
    with pytest.raises(ValueError, match=r"(latents|context|replicas) must be at least 1, got"):
        estimators.get("nvil").build(*sizes)


@pytest.mark.parametrize(
    "name", ["straight_through", "reinmax", "gapped_st", "gumbel_rao", "gumbel_softmax"]
)
def test_a_pathwise_estimator_refuses_losses_without_any_gradient(name):
    theta = leaf(torch.zeros(4, 2, 3))
    with pytest.raises(ValueError, match="needs an objective that is differentiable in its sample"):
        estimators.get(name).estimate(theta, lambda d: d.detach().sum((-2, -1)), Noise())


@cases()
def test_an_empty_batch_gives_an_empty_estimate(name, settings):
    theta = torch.zeros(0, 2, categories_of(name, settings))
    assert (
        estimators.get(name, **settings).estimate(theta, sum_of_squares, Noise()).value.numel() == 0
    )


def test_muprops_baseline_needs_a_context():
    with pytest.raises(ValueError, match="muprop needs a context for its baseline, got none"):
        estimators.get("muprop", baseline=True).build(2, 3)
