"""What every estimator declares and promises, measured for each."""

import ast
import math
import pathlib
import sys

import pytest
import torch
from estimator_cases import CASES, cases, categories_of, is_pathwise, sized_cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf, problem, randomise

BINARY_ONLY = {"arm", "disarm", "arms"}


def gradient(method, logits, noise, objective=None):
    theta = leaf(logits)
    out = method.estimate(theta, objective or loss, noise)
    return torch.autograd.grad(out.surrogate.sum(), theta)[0]


def loss(one_hot):
    weight = torch.linspace(-1, 2, one_hot.shape[-2:].numel(), dtype=one_hot.dtype)
    score = one_hot.flatten(-2) @ weight
    return score.tanh() + 0.2 * score**2


def random_logits(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_every_estimator_has_a_case():
    assert {name for name, _ in CASES.values()} == set(estimators.names())


@cases()
def test_names_and_references_are_declared(name, settings):
    method = estimators.get(name, **settings)
    assert method.name == name
    assert method.version >= 1
    assert method.reference
    assert method.binary_only == (name in BINARY_ONLY)


@pytest.mark.parametrize("name", estimators.names())
def test_every_estimator_takes_samples_and_has_defaults(name):
    assert estimators.get(name).samples >= 1
    assert estimators.get(name, samples=4).samples == 4


@sized_cases(sizes=(2, 3, 5))
def test_evaluations_are_as_many_as_declared(name, settings, categories):
    seen = []

    def spy(one_hot):
        seen.append(len(one_hot))
        return loss(one_hot)

    method = estimators.get(name, **settings)
    method.estimate(random_logits(4, 2, categories), spy, Noise())
    assert sum(seen) == method.evaluations(2, categories)
    assert len(seen) == 1


@cases()
def test_gradient_of_the_objective_is_used_as_declared(name, settings):
    method = estimators.get(name, **settings)
    method.build(2, categories_of(name, settings))
    method.eval()
    randomise(method)
    theta = random_logits(4, 2, categories_of(name, settings))
    smooth = gradient(method, theta, Noise())

    def rough(one_hot):
        return loss(one_hot.detach()) + 0 * one_hot.sum((-2, -1))

    needs_gradient = not torch.equal(smooth, gradient(method, theta, Noise(), rough))
    assert needs_gradient == method.needs_gradient


@cases()
@pytest.mark.parametrize("shape", [(2, 3), (5, 2, 2), (2, 3, 4, 3)], ids=str)
def test_results_have_the_contracts_shapes(name, settings, shape):
    shape = (*shape[:-1], min(shape[-1], categories_of(name, settings)))
    theta = leaf(random_logits(*shape))
    method = estimators.get(name, **settings)
    out = method.estimate(theta, loss, Noise())
    assert out.surrogate.shape == out.value.shape == shape[:-2]
    assert out.sample.shape == shape
    assert (out.tuning_loss is None) == (not list(method.parameters()))
    assert out.tuning_loss is None or out.tuning_loss.shape == shape[:-2]
    assert not out.value.requires_grad
    assert not out.sample.requires_grad
    assert out.surrogate.dtype == out.sample.dtype == theta.dtype


@cases()
def test_sample_is_one_hot_and_value_the_mean_loss_of_hard_samples(name, settings):
    seen = []

    def spy(one_hot):
        seen.append(one_hot.detach())
        return loss(one_hot)

    theta = random_logits(50, 2, categories_of(name, settings))
    out = estimators.get(name, **settings).estimate(theta, spy, Noise())
    assert torch.equal(out.sample.sum(-1), torch.ones(50, 2, dtype=torch.float64))
    assert set(out.sample.unique().tolist()) == {0.0, 1.0}
    hard = seen[0].amax(-1).amin(-1) == 1
    lowest, highest = (
        torch.where(hard, loss(seen[0]), limit).amin(0)
        if limit > 0
        else torch.where(hard, loss(seen[0]), limit).amax(0)
        for limit in (torch.inf, -torch.inf)
    )
    assert (out.value >= lowest - 1e-12).all()
    assert (out.value <= highest + 1e-12).all()


@cases()
def test_gradient_rows_sum_to_zero(name, settings):
    theta = random_logits(50, 2, categories_of(name, settings))
    rows = gradient(estimators.get(name, **settings), theta, Noise())
    assert rows.sum(-1).abs().max() < 1e-13


@cases(is_pathwise)
def test_a_carried_sample_is_one_hot_and_has_a_gradient(name, settings):
    theta = leaf(random_logits(50, 2, 3))
    sample = estimators.get(name, **settings).sample(theta, Noise())
    assert sample.shape == theta.shape
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    (gradient,) = torch.autograd.grad((sample * random_logits(50, 2, 3, seed=1)).sum(), theta)
    assert gradient.abs().min() > 0


@cases(is_pathwise)
def test_higher_derivatives_of_a_carried_sample_are_refused(name, settings):
    theta = leaf(random_logits(5, 2, 3))
    sample = estimators.get(name, **settings).sample(theta, Noise())
    (first,) = torch.autograd.grad((sample**2).sum(), theta, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated again"):
        first.sum().backward()


@cases(lambda method: bool(method.per_replica))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replicas_equal_separate_estimators(name, settings, dtype):
    per_replica = estimators.find(name).per_replica
    values = torch.tensor([1.0, 1.0, 1.0] if "baseline" in settings else [1.0, 1.4, 1.8])
    theta = random_logits(3, 4, 2, categories_of(name, settings), dtype=dtype)
    rest = {key: value for key, value in settings.items() if key not in per_replica}
    together = estimators.get(name, **dict.fromkeys(per_replica, values), **rest)
    got = gradient(together, theta, Noise(seeds=[5, 6, 7]))
    assert got.dtype == dtype
    for replica, value in enumerate(values.tolist()):
        alone = estimators.get(name, **dict.fromkeys(per_replica, value), **rest)
        expected = gradient(alone, theta[replica], Noise(seed=5 + replica))
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        # values are float32 numbers in both, so that only rounding can differ
        torch.testing.assert_close(got[replica], expected, rtol=tolerance, atol=tolerance)


@cases()
def test_repeated_logits_give_what_their_copy_gives(name, settings):
    categories = categories_of(name, settings)
    narrow = random_logits(2, 1, 2, categories).expand(2, 5, 2, categories)
    expected = gradient(estimators.get(name, **settings), narrow.contiguous(), Noise(seeds=[1, 2]))
    theta = leaf(narrow[:, :1])
    method = estimators.get(name, **settings)
    out = method.estimate(theta.expand(2, 5, 2, categories), loss, Noise(seeds=[1, 2]))
    (got,) = torch.autograd.grad(out.surrogate.sum(), theta)
    torch.testing.assert_close(got, expected.sum(1, keepdim=True), rtol=1e-12, atol=1e-12)


@sized_cases(sizes=(2, 3, 20))
def test_extreme_float32_logits_stay_finite(name, settings, categories):
    method = estimators.get(name, **settings)
    latents = 2 if method.check(1, categories) else 1
    theta = leaf(50 * random_logits(64, latents, categories, dtype=torch.float32).sign())
    out = method.estimate(theta, loss, Noise(seed=1))
    (got,) = torch.autograd.grad(out.surrogate.sum(), theta, retain_graph=True)
    assert got.dtype == torch.float32
    assert got.isfinite().all()
    assert out.surrogate.isfinite().all()
    if out.tuning_loss is not None:
        assert out.tuning_loss.isfinite().all()
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(method.parameters())):
            assert tuned.isfinite().all()


@sized_cases(lambda method: method.unbiased)
@pytest.mark.parametrize("spread", [10.0, 50.0])
def test_sure_variables_get_almost_no_gradient_in_float32(name, settings, categories, spread):
    theta = torch.full((200, 2, categories), -spread / 2)
    theta[..., 0] = spread / 2
    got = gradient(estimators.get(name, **settings), theta, Noise(seed=1))
    typical = got.abs().amax((1, 2)).sort().values[:-4].max()  # a rare class shows in few rows
    assert typical < 300 * categories * math.exp(-spread / 2) + 1e-5


@cases()
def test_a_broken_replica_touches_no_other(name, settings):
    theta = random_logits(3, 4, 2, categories_of(name, settings))
    methods = [estimators.get(name, **settings) for _ in range(2)]
    for method in methods:
        method.build(2, theta.shape[-1], replicas=3)
        method.validate = False  # as in training
    whole = gradient(methods[0], theta, Noise(seeds=[1, 2, 3]))
    theta = leaf(theta)
    theta.data[1] = torch.nan
    out = methods[1].estimate(theta, loss, Noise(seeds=[1, 2, 3]))
    (broken,) = torch.autograd.grad(out.surrogate.sum(), theta, retain_graph=True)
    torch.testing.assert_close(broken[[0, 2]], whole[[0, 2]], rtol=1e-12, atol=1e-12)
    assert out.surrogate[1].isnan().all() or broken[1].isnan().any()
    if out.tuning_loss is not None:
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(methods[1].parameters())):
            assert tuned[[0, 2]].isfinite().all()


@cases()
@settings(max_examples=10, deadline=None)
@given(shift=st.floats(-20, 20), seed=st.integers(0, 1000), categories=st.integers(2, 4))
def test_adding_a_constant_to_a_variables_logits_changes_nothing(
    name, settings, shift, seed, categories
):
    categories = min(categories, 2 * categories_of(name, settings) - 2)
    theta = random_logits(4, 2, categories, seed=seed)
    moved = theta + shift * torch.arange(1, 3).view(2, 1)
    straight, shifted = (
        gradient(estimators.get(name, **settings), each, Noise(seed=seed))
        for each in (theta, moved)
    )
    torch.testing.assert_close(shifted, straight, rtol=1e-8, atol=1e-8)


@cases()
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
def test_permuting_rows_and_their_seeds_permutes_the_gradients(name, settings, order, seed):
    theta = random_logits(5, 2, categories_of(name, settings), seed=seed)
    seeds = [seed + row for row in range(5)]
    straight = gradient(estimators.get(name, **settings), theta, Noise(seeds=seeds))
    moved = gradient(
        estimators.get(name, **settings), theta[order], Noise(seeds=[seeds[row] for row in order])
    )
    torch.testing.assert_close(moved, straight[order], rtol=1e-12, atol=1e-12)


@cases()
@settings(max_examples=10, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), max_size=3),
    latents=st.integers(1, 3),
    categories=st.integers(2, 4),
)
def test_any_batch_shape_is_kept(name, settings, batch, latents, categories):
    categories = min(categories, 2 * categories_of(name, settings) - 2)
    method = estimators.get(name, **settings)
    assume(not method.check(latents, categories))
    theta = random_logits(*batch, latents, categories)
    out = method.estimate(theta, loss, Noise())
    assert out.surrogate.shape == torch.Size(batch)
    assert out.sample.shape == theta.shape


@cases()
def test_gradients_reach_the_parameters_of_the_objective(name, settings):
    small = problem(2, categories_of(name, settings)).copies(4)
    out = estimators.get(name, **settings).estimate(small.logits, small.objective, Noise())
    assert small.gradients(out.surrogate)[..., small.logits.shape[-1] :].abs().sum() > 0


def test_the_package_imports_torch_jaxtyping_and_the_standard_library_only():
    allowed = {"torch", "jaxtyping"}
    for path in pathlib.Path(estimators.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in getattr(node, "names", [])] if not modules else []
            for module in modules if isinstance(node, ast.Import | ast.ImportFrom) else []:
                if (
                    f"{module}.".startswith("raysweep.estimators.")
                    or node.names[0].name == "estimators"
                ):
                    continue
                root = module.split(".")[0]
                assert root in allowed or root in sys.stdlib_module_names, (path, module)
