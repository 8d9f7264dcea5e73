"""Every layered estimator on a CUDA device: where results lie, and that means are exact."""

import pytest
import torch
from layered_cases import cases, get, images, loss_of_image, normal, random_signs

from raysweep.estimators import Noise
from raysweep.estimators.layered import Convolution, Dense, Head
from raysweep.testing.estimators import (
    exact_layered_gradient,
    layered_problem,
    randomise,
    standard_errors,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ROWS = 20_000


def on_device(small, count):
    """Copies of a problem on the device."""
    rows = small.copies(count)
    rows.layers = [layer.cuda() for layer in rows.layers]
    rows.x = rows.x.cuda()
    rows.weights = [weight.detach().cuda().requires_grad_() for weight in rows.weights]
    return rows


@cases()
def test_results_lie_on_the_device_of_the_network(name, settings):
    method = get(name, **settings)
    rows = on_device(layered_problem((3, 2), reads_all=not method.needs_head), 8)
    out = method.estimate(rows.layers, rows.x, rows.objective, Noise(seed=1))
    loss = out.surrogate.sum() + (0 if out.tuning_loss is None else out.tuning_loss.sum())
    loss.backward()
    results = (out.value, *out.states, *(layer.weight.grad for layer in rows.layers))
    assert {one.device for one in results} == {rows.x.device}
    for parameter in method.parameters():
        assert parameter.grad.isfinite().all()


@cases(lambda method: method.name != "exact")
def test_images_are_taken_on_the_device(name, settings):
    layers = [layer.cuda() for layer in images(replicas=(2,))]
    x = normal(2, 5, 1, 5, 5).cuda()
    head = Head(loss_of_image, axes=3)
    out = get(name, **settings).estimate(layers, x, head, Noise(seeds=[1, 2]))
    out.surrogate.sum().backward()
    assert all(layer.weight.grad.isfinite().all() for layer in layers)


@cases(lambda method: method.unbiased and method.name != "exact")
def test_mean_gradient_on_the_device_is_the_exact_one(name, settings):
    method = get(name, **settings)
    method.build(3)
    randomise(method)
    method.cuda()
    small = layered_problem((2, 3, 2), reads_all=True)
    rows = on_device(small, ROWS)
    out = method.estimate(rows.layers, rows.x, rows.objective, Noise(seed=3))
    sample = rows.gradients(out.surrogate).cpu()
    assert standard_errors(sample, exact_layered_gradient(small)).max() < 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_sums_over_flips_on_the_device_are_those_of_the_cpu(kind, dtype):
    if kind == "dense":
        layer, x = Dense(normal(3, 70, 80) / 4, normal(3, 80)), random_signs(3, 9, 70)
    else:
        layer = Convolution(normal(3, 32, 16, 3, 3) / 4, normal(3, 32), stride=2)
        x = random_signs(2, 3, 4, 16, 8, 9)
    logits = layer(x).detach()
    target = layer.flip_sum(x, logits, torch.ones_like(logits))
    layer, x, logits = (one.cuda().to(dtype) for one in (layer, x, logits))
    found = layer.flip_sum(x, logits, torch.ones_like(logits)).cpu().double()
    scale = logits[0, 0].numel() * torch.finfo(dtype).eps
    assert (found - target).abs().max() < 20 * scale


def test_a_seeds_numbers_on_the_device_do_not_depend_on_the_other_replicas():
    small = layered_problem((3, 2))
    both, alone = on_device(small, 2), on_device(small, 1)
    out = get("psa").estimate(both.layers, both.x, both.objective, Noise(seeds=[1, 2]))
    single = get("psa").estimate(alone.layers, alone.x, alone.objective, Noise(seeds=[2]))
    torch.testing.assert_close(out.value[1], single.value[0], rtol=1e-9, atol=1e-9)
