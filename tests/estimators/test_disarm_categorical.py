"""DisARM of several categories: exact means over the noise, what is integrated out, sure logits."""

import itertools
import math

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import (
    exact_gradient,
    leaf,
    problem,
    standard_errors,
    total_variance,
    varies_less,
)

ORDERS = ("descending", "ascending", "given")
METHODS = {
    **{f"disarm_sb {order}": ("disarm_sb", {"order": order}) for order in ORDERS},
    "disarm_iw": ("disarm_iw", {}),
    "disarm_tree": ("disarm_tree", {}),
}
every_method = pytest.mark.parametrize(("name", "settings"), METHODS.values(), ids=list(METHODS))
LOGITS = {
    "random": lambda latents, categories: problem(latents, categories).logits.detach(),
    "skewed": lambda latents, categories: 3 * problem(latents, categories, seed=2).logits.detach(),
    "uniform": lambda latents, categories: torch.zeros(latents, categories).double(),
}


def loss(one_hot):
    generator = torch.Generator().manual_seed(7)
    weights = torch.randn(2, *one_hot.shape[-2:], generator=generator, dtype=one_hot.dtype)
    a, b = ((one_hot * weight).sum((-2, -1)) for weight in weights)
    return torch.tanh(2 * a) * (1 + b) + 0.4 * b**2


def tree_decisions(p):
    """Probability of the left branch of every node: node n parts n - h from n modulo 2 h."""
    found = []
    for node in range(1, len(p)):
        half = 2 ** (node.bit_length() - 1)
        left, right = (sum(p[first :: 2 * half]) for first in (node - half, node))
        found.append(left / (left + right))
    return found


def decisions(name, settings, p):
    """Probability of the first outcome of every binary decision."""
    if name == "disarm_tree":
        return tree_decisions(p.tolist())
    order = settings.get("order", "ascending")
    along = p if order == "given" else p.sort(descending=order == "descending").values
    return [(along[c] / along[c:].sum()).item() for c in range(len(p) - 1)]


class EveryCell(Noise):
    """Uniforms in every cell on which all samples are constant, one row of the batch for each.

    Args:
        probabilities: Probability of the first outcome of each decision of each latent variable.
    """

    def __init__(self, probabilities):
        super().__init__()
        middles, sizes = [], []
        for p in itertools.chain(*probabilities):
            edges = [0.0, *sorted((p, 1 - p)), 1.0]
            cells = [(low, high) for low, high in itertools.pairwise(edges) if high - low > 1e-12]
            middles.append([(low + high) / 2 for low, high in cells])
            sizes.append([high - low for low, high in cells])
        masses = [math.prod(cells) for cells in itertools.product(*sizes)]
        self.points = torch.tensor(list(itertools.product(*middles)), dtype=torch.float64)
        self.weights = torch.tensor(masses, dtype=torch.float64)

    def uniform(self, *shape, dtype=None, device=None):
        assert shape[0] == len(self.points)
        return self.points.view(shape)  # a pair for each row


def expected_gradient(name, settings, logits, method=None):
    """The mean of the gradient over all noise, exactly."""
    every = EveryCell([decisions(name, settings, p) for p in logits.softmax(-1)])
    rows = leaf(logits.expand(len(every.weights), *logits.shape))
    out = (method or estimators.get(name, **settings)).estimate(rows, loss, every)
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), rows)
    return (every.weights[:, None, None] * gradient).sum(0)


@every_method
@pytest.mark.parametrize("logits", LOGITS.values(), ids=list(LOGITS))
@pytest.mark.parametrize(
    ("latents", "categories"), [(1, 2), (2, 2), (1, 3), (2, 3), (1, 5), (2, 5), (1, 8)]
)
def test_the_mean_over_all_noise_is_the_enumerated_gradient(
    name, settings, logits, latents, categories
):
    theta = logits(latents, categories)
    expected = expected_gradient(name, settings, theta)
    torch.testing.assert_close(expected, exact_gradient(theta, loss), rtol=0, atol=1e-11)


@every_method
def test_it_is_so_wherever_the_likelier_categories_lie(name, settings):
    skewed = torch.tensor([2.0, 0.3, -0.5, -2.0], dtype=torch.float64)
    for order in itertools.permutations(range(4)):
        theta = skewed[list(order)].unsqueeze(0)
        expected = expected_gradient(name, settings, theta)
        torch.testing.assert_close(expected, exact_gradient(theta, loss), rtol=0, atol=1e-11)


def gradients(name, settings, logits, rows, seed=1, objective=loss):
    theta = leaf(logits.expand(rows, *logits.shape))
    out = estimators.get(name, **settings).estimate(theta, objective, Noise(seed=seed))
    return torch.autograd.grad(out.surrogate.sum(), theta)[0]


@every_method
@pytest.mark.parametrize("samples", [2, 6])
def test_with_two_categories_it_is_disarm_number_by_number(name, settings, samples):
    logits = 2 * torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    expected = gradients("disarm", {"samples": samples}, logits, 500)
    assert torch.equal(gradients(name, {**settings, "samples": samples}, logits, 500), expected)


@every_method
def test_a_third_category_that_is_masked_leaves_disarm(name, settings):
    """In law: the exact mean, and the variance."""
    two = torch.tensor([[0.8, -0.4]], dtype=torch.float64)
    three = torch.nn.functional.pad(two, (0, 1), value=-math.inf)
    expected = gradients("disarm", {}, two, 40_000)
    found = gradients(name, settings, three, 40_000, objective=lambda d: loss(d[..., :2]))
    assert (found[..., 2] == 0).all()
    assert standard_errors(found[..., :2], exact_gradient(two, loss)).max() < 5
    assert varies_less(found, expected, factor=1.05)
    assert varies_less(expected, found[..., :2], factor=1.05)


def one_variable(sample):
    return sample[..., 0, :] @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=sample.dtype)


@pytest.mark.parametrize("order", ORDERS)
def test_the_stick_has_the_mean_of_disarm_of_its_decisions(order):
    """DisARM of all binary decisions by autograd, with every bit drawn: equal means, more variance.

    The log-odds of decisions are a function of the logits, which autograd differentiates.
    """
    logits = torch.tensor([[0.4, -0.3, 1.0, 0.1]], dtype=torch.float64)
    rows, objective = 40_000, one_variable
    theta = leaf(logits.expand(rows, 1, 4))
    along = logits[0].argsort(descending=order == "descending")
    along = torch.arange(4) if order == "given" else along
    ordered = theta[:, 0, along]
    later = [ordered[:, c + 1 :].logsumexp(-1) for c in range(3)]
    log_odds = ordered[:, :3] - torch.stack(later, -1)
    uniform = Noise(seed=2).uniform(rows, 3, dtype=torch.float64)
    bits = [u < log_odds.sigmoid() for u in (uniform, 1 - uniform)]
    stops = [torch.cat((b, torch.ones(rows, 1, dtype=torch.bool)), -1) for b in bits]
    drawn = [along[stop.int().argmax(-1)] for stop in stops]
    losses = [objective(torch.nn.functional.one_hot(c, 4)[:, None].double()) for c in drawn]
    scale = 0.5 * (bits[0].double() - bits[1].double()) * log_odds.detach().abs().sigmoid()
    known = (losses[0] - losses[1]).unsqueeze(-1) * scale
    (plain,) = torch.autograd.grad((known.detach() * log_odds).sum(), theta)
    found = gradients("disarm_sb", {"order": order}, logits, rows, objective=objective)
    assert standard_errors(plain, exact_gradient(logits, objective)).max() < 5
    assert varies_less(found, plain)


def test_importance_weights_would_be_biased_in_descending_order():
    """No pair of the later categories is ever drawn, as the first has more than half the mass."""
    logits = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    method = estimators.get("disarm_iw")
    method.order = "descending"
    expected = expected_gradient("disarm_iw", {"order": "descending"}, logits, method)
    assert (expected - exact_gradient(logits, loss)).abs().max() > 0.01


@pytest.mark.parametrize("categories", [3, 8, 30])
def test_importance_weights_are_less_than_two(categories):
    logits = torch.randn(1, categories, generator=torch.Generator().manual_seed(0)).double()
    for scale in (0.0, 0.3, 1.0, 3.0):
        found = gradients("disarm_iw", {}, scale * logits, 5000, objective=lambda d: d[..., 0, 0])
        assert found.abs().max() < 1


@every_method
@pytest.mark.parametrize("size", [95.0, 1e4, 1e10])
@pytest.mark.parametrize("categories", [2, 3, 5, 20])
def test_large_float32_logits_give_finite_gradients(name, settings, size, categories):
    generator = torch.Generator().manual_seed(1)
    logits = size * torch.randn(500, 1, categories, generator=generator).sign()
    logits[::3] *= torch.rand(logits[::3].shape, generator=generator)
    found = gradients(name, settings, logits, 4)
    assert found.isfinite().all()


@every_method
def test_a_sure_variable_gets_no_gradient(name, settings):
    logits = torch.zeros(2, 5)
    logits[0, 3] = 200.0
    found = gradients(name, settings, logits, 500)
    assert (found[:, 0] == 0).all()
    assert (found[:, 1] != 0).any()


@pytest.mark.parametrize("name", ["disarm_sb", "disarm_iw", "disarm_tree"])
@pytest.mark.parametrize("latents", [1, 2])
def test_pairs_vary_less_than_leave_one_out_with_two_samples(name, latents):
    logits = problem(latents, 3).logits.detach()
    samples = (gradients(each, {}, logits, 20_000) for each in (name, "reinforce_loo"))
    assert varies_less(*samples)


def variance_ratio(settings, latents, categories):
    """Variance of the stick relative to leave-one-out with two samples, over random problems."""
    total = 0.0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        logits, *weights = torch.randn(4, latents, categories, generator=generator).double()

        def objective(one_hot, weights=weights):
            a, b, c = ((one_hot * weight).sum((-2, -1)) for weight in weights)
            return torch.tanh(a) * (1 + b) + 0.1 * c**2

        stick, plain = (
            total_variance(gradients(*method, logits, 2000, objective=objective)).mean().item()
            for method in (("disarm_sb", settings), ("reinforce_loo", {}))
        )
        total += math.log(stick / plain) / 20
    return math.exp(total)


@pytest.mark.parametrize(("latents", "categories"), [(1, 3), (1, 8), (6, 4)])
def test_descending_order_varies_least_on_average(latents, categories):
    ratios = [variance_ratio({"order": order}, latents, categories) for order in ORDERS]
    assert ratios[0] < min(ratios[1:]) < 1


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match=r"order must be one of 'descending', .* got 'random'"):
        estimators.get("disarm_sb", order="random")
