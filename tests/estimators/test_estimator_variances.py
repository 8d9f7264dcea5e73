"""Variances: the orderings that papers prove, and what learning is worth."""

import pytest
import torch
from case_tables import follow

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf, problem, total_variance, varies_less

ROWS = 20_000


def gradients(method, categories, seed=3, context=None):
    """Gradients to the logits, independent in every row."""
    rows = problem(2, categories).copies(ROWS)
    x = None if context is None else context[:ROWS]
    out = method.estimate(rows.logits, rows.objective, Noise(seed=seed), context=x)
    return rows.gradients(out.surrogate)[..., :categories]


ORDERINGS = {
    "disarm, arm": (("disarm", {}), ("arm", {}), (2,)),
    "arsm_plus, arsm": (("arsm_plus", {}), ("arsm", {}), (2, 3, 4)),
    "ars_plus, ars": (("ars_plus", {}), ("ars", {}), (2, 3, 4)),
    "gumbel_rao 3, 1": (("gumbel_rao", {"samples": 3}), ("gumbel_rao", {"samples": 1}), (2, 3)),
    "gumbel_rao 10, 3": (("gumbel_rao", {"samples": 10}), ("gumbel_rao", {"samples": 3}), (2, 3)),
    "gumbel_rao, st_gumbel_softmax": (("gumbel_rao", {}), ("st_gumbel_softmax", {}), (2, 3)),
    "reinforce_loo, reinforce": (
        ("reinforce_loo", {"samples": 4}),
        ("reinforce", {"samples": 4}),
        (2, 3),
    ),
    "arms 4, two pairs of disarm": (("arms", {"samples": 4}), ("disarm", {"samples": 4}), (2,)),
    "local_expectation, reinforce": (("local_expectation", {}), ("reinforce", {}), (2, 3)),
    "unordered_set, reinforce_loo": (("unordered_set", {}), ("reinforce_loo", {}), (2, 3)),
    "unordered_set 4, reinforce_loo 4": (
        ("unordered_set", {"samples": 4}),
        ("reinforce_loo", {"samples": 4}),
        (2, 3),
    ),
    "unordered_set 3 with and without baseline": (
        ("unordered_set", {"samples": 3}),
        ("unordered_set", {"samples": 3, "baseline": False}),
        (3,),
    ),
}


@pytest.mark.parametrize(
    ("fewer", "more", "categories"),
    [
        pytest.param(fewer, more, size, id=f"{key} C {size}")
        for key, (fewer, more, sizes) in ORDERINGS.items()
        for size in sizes
    ],
)
def test_the_better_estimator_varies_less(fewer, more, categories):
    samples = (
        gradients(estimators.get(name, temperature=0.5, **settings), categories)
        if "temperature" in estimators.find(name).per_replica
        else gradients(estimators.get(name, **settings), categories)
        for name, settings in (fewer, more)
    )
    assert varies_less(*samples)


@pytest.mark.parametrize(
    "name",
    ["straight_through", "gapped_st", "reinmax", "reinforce", "reinforce_loo", "rebar", "arm",
     "ars", "ars_plus", "arsm", "arsm_plus", "disarm", "disarm_sb", "disarm_iw", "disarm_tree",
     "local_expectation"],
)  # fmt: skip
def test_four_times_the_samples_vary_a_quarter(name):
    few, many = (gradients(estimators.get(name, samples=samples), 2) for samples in (2, 8))
    assert varies_less(many, few, factor=0.5)
    assert varies_less(few, many, factor=9.0)


def test_disarm_is_arms_with_two_samples():
    one, other = (gradients(estimators.get(name), 2) for name in ("disarm", "arms"))
    assert varies_less(one, other, factor=1.3)
    assert varies_less(other, one, factor=1.3)


def test_arm_is_arsm_with_two_categories():
    one, other = (gradients(estimators.get(name), 2) for name in ("arm", "arsm"))
    assert varies_less(one, other, factor=1.3)
    assert varies_less(other, one, factor=1.3)


LEARNERS = {
    "muprop": ("muprop", {}, 0.95),
    "muprop constant": ("muprop", {"linear": False, "eta": 0.2}, 0.9),
    "rebar": ("rebar", {"temperature": 0.1}, 0.9),
    "rebar eta": ("rebar", {"learn_temperature": False, "eta": 0.2}, 0.9),
    "rebar temperature": ("rebar", {"temperature": 0.1, "learn_eta": False}, 0.9),
    "rebar probit": ("rebar", {"temperature": 0.1, "link": "probit"}, 0.9),
    "relax": ("relax", {"temperature": 0.1}, 0.9),
    "double_cv": ("double_cv", {}, 0.95),
    "rodeo": ("rodeo", {}, 0.95),
    "rodeo K 3": ("rodeo", {"samples": 3}, 0.97),
}


def train(method, categories, context=None, steps=300):
    """Follows the tuning loss on the fixed problem."""
    rows = problem(2, categories).copies(200)
    noise = Noise(seed=11)
    x = None if context is None else context[:200]

    def tuning_loss(step):
        noise.at(step)
        return method.estimate(rows.logits, rows.objective, noise, context=x).tuning_loss

    follow(method, tuning_loss, steps)


@pytest.mark.parametrize(("name", "settings", "factor"), LEARNERS.values(), ids=list(LEARNERS))
def test_what_is_learned_lessens_the_variance(name, settings, factor):
    categories = 2 if "link" in settings else 3
    method = estimators.get(name, **settings)
    method.build(2, categories)
    before = gradients(method, categories)
    train(method, categories)
    assert varies_less(gradients(method, categories), before, factor=factor)


@pytest.mark.parametrize("name", ["double_cv", "rodeo"])
@pytest.mark.parametrize("samples", [2, 3])
@pytest.mark.parametrize("categories", [2, 3])
def test_trained_control_variates_vary_less_than_leave_one_out(name, samples, categories):
    method = estimators.get(name, samples=samples)
    method.build(2, categories)
    train(method, categories)
    plain = gradients(estimators.get("reinforce_loo", samples=samples), categories)
    assert varies_less(gradients(method, categories), plain)


@pytest.mark.parametrize(
    ("name", "settings"), [("nvil", {}), ("muprop", {"baseline": True, "constant": False})]
)
def test_a_baseline_learns_what_the_context_says(name, settings):
    """The objective's level depends on the context: only a function of it can take that away."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 4, generator=generator, dtype=torch.float64)
    level = 3 * torch.sin(x[:, 0]) + 2 * x[:, 1]
    small = problem(2, 3)

    def sample(method, count, noise):
        theta = leaf(small.logits.expand(count, 2, 3))

        def objective(d):
            return level[:count] + torch.tanh((d * small.weight.detach()).sum((-2, -1)))

        out = method.estimate(theta, objective, noise, context=x[:count])
        return theta, out

    def own_gradients():
        theta, out = sample(method, ROWS, Noise(seed=5))
        return torch.autograd.grad(out.surrogate.sum(), theta)[0]

    method = estimators.get(name, **settings)
    method.build(2, 3, context=4)
    before = own_gradients()
    follow(
        method, lambda step: sample(method, 1000, Noise(seed=100 + step))[1].tuning_loss, 400, 0.01
    )
    assert varies_less(own_gradients(), before, factor=0.4)


def test_muprops_baseline_predicts_what_its_expansion_leaves():
    """On top of an expansion that takes a large level away, a baseline must not bring it back."""
    small = problem(2, 3)

    def objective(d):
        return 10 + torch.tanh((d * small.weight.detach()).sum((-2, -1)))

    def sample(method, count, noise):
        theta = leaf(small.logits.expand(count, 2, 3))
        x = torch.ones(count, 1, dtype=torch.float64)
        return theta, method.estimate(theta, objective, noise, context=x)

    found = []
    for baseline in (False, True):
        method = estimators.get("muprop", learn_eta=False, baseline=baseline)
        method.build(2, 3, context=1)
        optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True), *method.parameters()])
        for step in range(300 if baseline else 0):
            _, out = sample(method, 200, Noise(seed=step))
            optimizer.zero_grad()
            out.tuning_loss.mean().backward()
            optimizer.step()
        theta, out = sample(method, ROWS, Noise(seed=1000))
        found.append(torch.autograd.grad(out.surrogate.sum(), theta)[0])
    assert varies_less(found[1], found[0], factor=1.1)


def test_a_running_mean_takes_a_constant_level_away():
    small = problem(2, 3)

    def gradient(method, seed):
        theta = leaf(small.logits.expand(ROWS, 2, 3))
        out = method.estimate(theta, lambda d: 50 + d[..., 0].sum(-1), Noise(seed=seed))
        return torch.autograd.grad(out.surrogate.sum(), theta)[0]

    method = estimators.get("nvil")
    before = gradient(method, 1)
    for seed in range(30):
        after = gradient(method, 2 + seed)
    assert varies_less(after, before, factor=0.01)


def test_rebar_at_a_high_temperature_of_equation_7_is_muprop_without_slope():
    rebar = estimators.get("rebar", relaxation="muprop", temperature=1e4, learn_temperature=False)
    mean_field = estimators.get("muprop", linear=False)
    variances = [total_variance(gradients(each, 3)).mean().item() for each in (rebar, mean_field)]
    assert variances[0] == pytest.approx(variances[1], rel=0.1)
