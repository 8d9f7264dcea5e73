"""What every estimator declares and promises, measured for each."""

import ast
import pathlib
import sys

import pytest
import torch
from estimator_cases import CASES, cases, leaf, problem
from hypothesis import given, settings
from hypothesis import strategies as st

import estimators
from estimators import Noise

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


@cases()
def test_evaluations_are_as_many_as_declared(name, settings):
    seen = []

    def spy(one_hot):
        seen.append(len(one_hot))
        return loss(one_hot)

    method = estimators.get(name, **settings)
    method.estimate(random_logits(4, 2, 3), spy, Noise())
    assert sum(seen) == method.evaluations(2, 3)
    assert len(seen) == 1


@cases()
def test_gradient_of_the_objective_is_used_as_declared(name, settings):
    method = estimators.get(name, **settings)
    theta = random_logits(4, 2, 3)
    smooth = gradient(method, theta, Noise())

    def rough(one_hot):
        return loss(one_hot.detach()) + 0 * one_hot.sum((-2, -1))

    needs_gradient = not torch.equal(smooth, gradient(method, theta, Noise(), rough))
    assert needs_gradient == method.needs_gradient


@cases()
@pytest.mark.parametrize("shape", [(2, 3), (5, 2, 2), (2, 3, 4, 3)], ids=str)
def test_results_have_the_contracts_shapes(name, settings, shape):
    theta = leaf(random_logits(*shape))
    out = estimators.get(name, **settings).estimate(theta, loss, Noise())
    assert out.surrogate.shape == out.value.shape == shape[:-2]
    assert out.sample.shape == shape
    assert out.tuning_loss is None
    assert not out.value.requires_grad
    assert not out.sample.requires_grad
    assert out.surrogate.dtype == out.sample.dtype == theta.dtype


@cases()
def test_sample_is_one_hot_and_value_its_loss(name, settings):
    one = {**settings, "samples": 1} if name != "reinforce_loo" else settings
    out = estimators.get(name, **one).estimate(random_logits(50, 2, 3), loss, Noise())
    assert torch.equal(out.sample.sum(-1), torch.ones(50, 2, dtype=torch.float64))
    assert set(out.sample.unique().tolist()) == {0.0, 1.0}
    if name != "reinforce_loo":
        torch.testing.assert_close(out.value, loss(out.sample), rtol=0, atol=1e-14)


@cases()
def test_gradient_rows_sum_to_zero(name, settings):
    rows = gradient(estimators.get(name, **settings), random_logits(50, 2, 3), Noise())
    assert rows.sum(-1).abs().max() < 1e-13


@cases(lambda cls: issubclass(cls, estimators.PathwiseEstimator))
def test_a_carried_sample_is_one_hot_and_has_a_gradient(name, settings):
    theta = leaf(random_logits(50, 2, 3))
    sample = estimators.get(name, **settings).sample(theta, Noise())
    assert sample.shape == theta.shape
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    (gradient,) = torch.autograd.grad((sample * random_logits(50, 2, 3, seed=1)).sum(), theta)
    assert gradient.abs().min() > 0


@cases(lambda cls: issubclass(cls, estimators.PathwiseEstimator))
def test_higher_derivatives_of_a_carried_sample_are_refused(name, settings):
    theta = leaf(random_logits(5, 2, 3))
    sample = estimators.get(name, **settings).sample(theta, Noise())
    (first,) = torch.autograd.grad((sample**2).sum(), theta, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@cases(lambda cls: bool(cls.per_replica))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replicas_equal_separate_estimators(name, settings, dtype):
    temperatures = torch.tensor([1.0, 1.0, 1.0] if "baseline" in settings else [1.0, 1.4, 2.5])
    theta = random_logits(3, 4, 2, 3, dtype=dtype)
    rest = {key: value for key, value in settings.items() if key != "temperature"}
    together = estimators.get(name, temperature=temperatures, **rest)
    got = gradient(together, theta, Noise(seeds=[5, 6, 7]))
    assert got.dtype == dtype
    for replica, temperature in enumerate(temperatures.tolist()):
        alone = estimators.get(name, temperature=temperature, **rest)
        expected = gradient(alone, theta[replica], Noise(seed=5 + replica))
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        # temperatures are float32 numbers in both, so that only rounding can differ
        torch.testing.assert_close(got[replica], expected, rtol=tolerance, atol=tolerance)


@cases()
def test_repeated_logits_give_what_their_copy_gives(name, settings):
    narrow = random_logits(2, 1, 2, 3).expand(2, 5, 2, 3)
    method = estimators.get(name, **settings)
    expected = gradient(method, narrow.contiguous(), Noise(seeds=[1, 2]))
    theta = leaf(narrow[:, :1])
    out = method.estimate(theta.expand(2, 5, 2, 3), loss, Noise(seeds=[1, 2]))
    (got,) = torch.autograd.grad(out.surrogate.sum(), theta)
    torch.testing.assert_close(got, expected.sum(1, keepdim=True), rtol=1e-12, atol=1e-12)


@cases()
@pytest.mark.parametrize("categories", [2, 3, 20])
def test_extreme_float32_logits_stay_finite(name, settings, categories):
    sizes = (64, 1, categories)
    theta = 50 * random_logits(*sizes, dtype=torch.float32).sign()
    out = gradient(estimators.get(name, **settings), theta, Noise(seed=1))
    assert out.dtype == torch.float32
    assert out.isfinite().all()


@cases()
def test_a_broken_replica_touches_no_other(name, settings):
    theta = random_logits(3, 4, 2, 3)
    method = estimators.get(name, **settings)
    whole = gradient(method, theta, Noise(seeds=[1, 2, 3]))
    theta[1] = torch.nan
    broken = gradient(method, theta, Noise(seeds=[1, 2, 3]))
    torch.testing.assert_close(broken[[0, 2]], whole[[0, 2]], rtol=1e-12, atol=1e-12)
    assert broken[1].isnan().any()


@cases()
@settings(max_examples=15, deadline=None)
@given(shift=st.floats(-20, 20), seed=st.integers(0, 1000), categories=st.integers(2, 4))
def test_adding_a_constant_to_a_variables_logits_changes_nothing(
    name, settings, shift, seed, categories
):
    theta = random_logits(4, 2, categories, seed=seed)
    method = estimators.get(name, **settings)
    moved = theta + shift * torch.arange(1, 3).view(2, 1)
    expected = gradient(method, theta, Noise(seed=seed))
    torch.testing.assert_close(
        gradient(method, moved, Noise(seed=seed)), expected, rtol=1e-9, atol=1e-9
    )


@cases()
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
def test_permuting_rows_and_their_seeds_permutes_the_gradients(name, settings, order, seed):
    theta = random_logits(5, 2, 3, seed=seed)
    method = estimators.get(name, **settings)
    seeds = [seed + row for row in range(5)]
    straight = gradient(method, theta, Noise(seeds=seeds))
    moved = gradient(method, theta[order], Noise(seeds=[seeds[row] for row in order]))
    torch.testing.assert_close(moved, straight[order], rtol=1e-12, atol=1e-12)


@cases()
@settings(max_examples=15, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), max_size=3),
    size=st.tuples(st.integers(1, 3), st.integers(2, 4)),
)
def test_any_batch_shape_is_kept(name, settings, batch, size):
    out = estimators.get(name, **settings).estimate(random_logits(*batch, *size), loss, Noise())
    assert out.surrogate.shape == torch.Size(batch)
    assert out.sample.shape == torch.Size((*batch, *size))


@cases()
def test_gradients_reach_the_parameters_of_the_objective(name, settings):
    small = problem(2, 3).copies(4)
    out = estimators.get(name, **settings).estimate(small.logits, small.objective, Noise())
    assert small.gradients(out.surrogate)[..., 3:].abs().sum() > 0


def test_the_package_imports_torch_jaxtyping_and_the_standard_library_only():
    allowed = {"torch", "jaxtyping", "estimators"}
    for path in pathlib.Path(estimators.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in getattr(node, "names", [])] if not modules else []
            for module in modules if isinstance(node, ast.Import | ast.ImportFrom) else []:
                root = module.split(".")[0]
                assert root in allowed or root in sys.stdlib_module_names, (path, module)
