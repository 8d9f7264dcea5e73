"""ARS+ and its relatives: what the integrated noise is bounded by, and what is shared."""

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.ars import ARSPlus, random_below
from raysweep.testing.estimators import problem, standard_errors

ROWS = 20_000


def intervals(categories, bounds, dtype=torch.float64, scale=1.0, rows=ROWS):
    """Bounds of the pivot's noise for random draws, and the noise."""
    method = ARSPlus(bounds=bounds)
    logits = (scale * problem(2, categories).logits.detach()).to(dtype).unsqueeze(0)
    noise = Noise(seed=2)
    swaps = method._swaps(logits.expand(rows, 2, categories), logits, noise)
    like = swaps.one_hot[0, 0, ..., :1]
    partner = (swaps.pivot + 1 + random_below(categories - 1, like, noise, 1)) % categories
    low, high = method._interval(logits, swaps, partner)
    index = swaps.pivot.expand(*swaps.log_noise.shape[:-1], 1)
    return low, high, swaps.log_noise.gather(-1, index).squeeze(-1).exp()


@pytest.mark.parametrize("categories", [2, 3, 5])
@pytest.mark.parametrize("bounds", ["full", "paper"])
def test_the_noise_lies_within_its_bounds(categories, bounds):
    low, high, noise = intervals(categories, bounds)
    assert (low <= noise + 1e-12).all()
    assert (noise <= high + 1e-12).all()


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_noise_lies_within_its_bounds_in_float32(scale):
    low, high, noise = intervals(4, "full", torch.float32, scale)
    assert (low <= noise + 1e-5).all()
    assert (noise <= high + 1e-5).all()


@pytest.mark.parametrize("categories", [3, 5])
def test_full_bounds_lie_within_the_published_ones(categories):
    full, paper = intervals(categories, "full"), intervals(categories, "paper")
    assert (full[0] >= paper[0] - 1e-12).all()
    assert (full[1] <= paper[1] + 1e-12).all()
    assert (full[1] - full[0] < paper[1] - paper[0] - 1e-6).any()


@pytest.mark.parametrize("categories", [2, 3, 5])
def test_the_noise_is_uniform_within_its_bounds(categories):
    low, high, noise = intervals(categories, "full", rows=100_000)
    place = ((noise - low) / (high - low)).flatten(0, 1)
    for power in (1, 2, 3):
        assert standard_errors(place**power, torch.full((2,), 1 / (power + 1))).max() < 5


@pytest.mark.parametrize("categories", [2, 3, 4])
@pytest.mark.parametrize("name", ["ars_plus", "arsm_plus"])
def test_a_variable_that_no_swap_changes_gets_no_gradient(name, categories):
    logits = torch.tensor([[30.0] + [0.0] * (categories - 1), [0.0] * categories])
    theta = logits.double().expand(500, 2, categories).clone().requires_grad_()
    method = estimators.get(name)
    out = method.estimate(theta, lambda d: d[..., 0].sum(-1) ** 2, Noise(seed=1))
    out.surrogate.sum().backward()
    assert (theta.grad[:, 0] == 0).all()
    assert (theta.grad[:, 1] != 0).any()


@pytest.mark.parametrize("categories", [2, 3, 4])
@pytest.mark.parametrize("name", ["arsm", "arsm_plus"])
def test_arsm_is_the_mean_of_ars_over_its_pivots(name, categories):
    rows = problem(2, categories).copies(50)
    noise = Noise(seed=3).exponential(50, 1, 2, categories, dtype=torch.float64)

    def loss(d):
        return rows.objective(d).detach()

    def by_hand(pivot):
        w = (noise / noise.sum(-1, keepdim=True))[:, 0]
        losses, winners = [], []
        for place in range(categories):
            order = list(range(categories))
            order[place], order[pivot] = order[pivot], order[place]
            winners.append((w[..., order] * (-rows.logits.detach()).exp()).argmin(-1))
            one_hot = torch.nn.functional.one_hot(winners[-1], categories)
            losses.append(loss(one_hot.double()[None])[0])
        f = torch.stack(losses, -1)
        centred = (f - f.mean(-1, keepdim=True))[:, None]
        changes = (torch.stack(winners) != winners[0]).any(0) if name == "arsm_plus" else 1.0
        return centred * ((1 - categories * w[..., pivot]) * changes)[..., None]

    out = estimators.get(name).estimate(rows.logits, loss, Noise(seed=3))
    (found,) = torch.autograd.grad(out.surrogate.sum(), rows.logits)
    target = torch.stack([by_hand(pivot) for pivot in range(categories)]).mean(0)
    torch.testing.assert_close(found, target, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["ars", "ars_plus"])
def test_pivots_are_any_category_equally_often_or_the_first(name):
    logits = torch.zeros(ROWS, 2, 4)
    drawn, first = (
        estimators.get(name, pivot=pivot)._swaps(logits, logits[:1], Noise(seed=1)).pivot.flatten()
        for pivot in ("random", "first")
    )
    shares = torch.nn.functional.one_hot(drawn, 4).double()
    assert standard_errors(shares, torch.full((4,), 0.25)).max() < 5
    assert (first == 0).all()
