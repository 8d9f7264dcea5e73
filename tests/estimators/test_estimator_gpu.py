"""Every estimator on a CUDA device: where results lie, and that means agree with enumeration."""

import pytest
import torch
from estimator_cases import cases, categories_of, sized_cases

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import exact_target, problem, randomise, standard_errors

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ROWS = 20_000


def on_device(small, count):
    """Copies of a problem on the device."""
    rows = small.copies(count)
    for name in ("logits", "weight"):
        setattr(rows, name, getattr(rows, name).detach().cuda().requires_grad_())
    return rows


@cases()
def test_results_lie_on_the_device_of_the_logits(name, settings):
    rows = on_device(problem(2, categories_of(name, settings)), 8)
    method = estimators.get(name, **settings)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=1))
    loss = out.surrogate.sum() + (0 if out.tuning_loss is None else out.tuning_loss.sum())
    loss.backward()
    assert out.value.device == out.sample.device == rows.logits.grad.device == rows.logits.device
    for parameter in method.parameters():
        assert parameter.grad.isfinite().all()


@sized_cases(lambda method: method.unbiased)
def test_mean_gradient_on_the_device_is_the_enumerated_one(name, settings, categories):
    method = estimators.get(name, **settings)
    method.build(2, categories)
    randomise(method)
    method.cuda()
    small = problem(2, categories)
    exact = small.gradients(exact_target(method, small.logits, small.objective))
    rows = on_device(small, ROWS)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3))
    assert standard_errors(rows.gradients(out.surrogate).cpu(), exact).max() < 5
