"""Estimates inside `torch.func`, in half precision, copied and pickled."""

import copy
import pickle

import pytest
import torch
from estimator_cases import cases, categories_of, is_pathwise, sized_cases

from raysweep import estimators
from raysweep.estimators import Noise, TorchNoise
from raysweep.testing.estimators import leaf, randomise

ROWS = 7


def loss(sample):
    weight = torch.linspace(-1, 2, sample.shape[-2:].numel(), dtype=sample.dtype)
    score = sample.flatten(-2) @ weight
    return torch.tanh(2 * score) + 0.4 * score**2


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def made(name, settings, categories):
    method = estimators.get(name, **settings)
    method.build(2, categories)
    randomise(method)
    return method.double()


class Estimated(torch.nn.Module):
    """The call of an estimator, as a module."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, *call):
        return self.method.estimate(*call)


def functional_estimate(method, state, call):
    given = {f"method.{key}": value for key, value in state.items()}
    return torch.func.functional_call(Estimated(method), given, call)


@sized_cases(sizes=(2, 3))
def test_torch_func_grad_is_the_gradient(name, settings, categories):
    logits = normal(ROWS, 2, categories)
    # running means, which training moves, cannot be moved inside a transformation
    method, other = (made(name, settings, categories).eval() for _ in range(2))
    theta = leaf(logits)
    value = method.estimate(theta, loss, Noise(seed=1)).surrogate.sum()
    (expected,) = torch.autograd.grad(value, theta)
    found, total = torch.func.grad_and_value(
        lambda x: other.estimate(x, loss, Noise(seed=1)).surrogate.sum()
    )(logits)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(total, value.detach())


def test_torch_func_refuses_the_derivative_of_a_parameters_gradient_by_the_logits():
    method = estimators.get("reinforce_loo")

    def value(scale, theta):
        return method.estimate(theta, lambda d: scale**3 * loss(d), Noise(seed=1)).surrogate.sum()

    first = torch.func.grad(value)
    point, theta = torch.tensor(1.5).double(), normal(ROWS, 2, 3)
    second = torch.func.grad(first)(point, theta)
    torch.testing.assert_close(second, 2 * first(point, theta) / 1.5)
    with pytest.raises(RuntimeError, match="differentiated again"):
        torch.func.grad(first, argnums=1)(point, theta)


@sized_cases(sizes=(2, 3))
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # log_ndtr
def test_vmap_gives_the_gradient_of_every_row(name, settings, categories):
    """With as many rows of equal logits, per-row gradients vary as those of one batch do."""
    logits, rows = normal(1, 2, categories), 400
    method = made(name, settings, categories).eval()

    def value(theta):
        return method.estimate(theta, loss, Noise(seed=1)).surrogate.sum()

    per_row = torch.func.vmap(torch.func.grad(value), randomness="different")
    found = per_row(logits.expand(rows, 1, 2, categories))[:, 0]
    theta = leaf(logits.expand(rows, 2, categories))
    (expected,) = torch.autograd.grad(value(theta), theta)
    error = (found.var(0) + expected.var(0)).div(rows).sqrt() + 1e-9
    assert ((found.mean(0) - expected.mean(0)).abs() < 6 * error).all()
    if name != "exact":
        assert len(torch.unique(found.flatten(1), dim=0)) > 1


@cases()
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # log_ndtr
def test_vmap_over_replicas_gives_the_gradient_of_each_alone(name, settings):
    """As users of `torch.func.stack_module_state` train an ensemble, with one stream of noise."""
    categories = categories_of(name, settings)
    methods = [made(name, settings, categories).eval() for _ in range(3)]
    for index, method in enumerate(methods):
        for parameter in method.parameters():
            parameter.data += 0.1 * index
    logits = normal(3, ROWS, 2, categories)

    def value(state, theta):
        call = (theta, loss, Noise(seed=1))
        return functional_estimate(methods[0], state, call).surrogate.sum()

    parameters, buffers = torch.func.stack_module_state(methods)
    gradients = torch.func.vmap(torch.func.grad(value, argnums=1), randomness="same")
    found = gradients({**parameters, **buffers}, logits)
    for method, theta, gradient in zip(methods, leaf(logits), found, strict=True):
        out = method.estimate(theta, loss, Noise(seed=1)).surrogate.sum()
        torch.testing.assert_close(gradient, torch.autograd.grad(out, theta)[0])


@cases()
def test_functional_call_uses_the_parameters_that_are_given(name, settings):
    categories = categories_of(name, settings)
    method, other = made(name, settings, categories), estimators.get(name, **settings)
    other.build(2, categories)
    theta = leaf(normal(ROWS, 2, categories))
    expected = method.estimate(theta, loss, Noise(seed=1))
    state = dict(made(name, settings, categories).state_dict())

    found = functional_estimate(other.double(), state, (theta, loss, Noise(seed=1)))
    target = torch.autograd.grad(expected.surrogate.sum(), theta)
    torch.testing.assert_close(torch.autograd.grad(found.surrogate.sum(), theta), target)


@cases()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(name, settings, dtype):
    categories = categories_of(name, settings)
    logits, gradients = normal(50, 2, categories).to(dtype), []

    def half_loss(sample):
        assert sample.dtype == dtype
        return loss(sample)

    for given, objective in ((logits, half_loss), (logits.float(), loss)):
        theta = leaf(given)
        out = estimators.get(name, **settings).estimate(theta, objective, Noise(seed=1))
        assert out.sample.dtype == theta.dtype
        gradients.append(torch.autograd.grad(out.surrogate.sum(), theta)[0].float())
    assert gradients[0].isfinite().all()
    scale = gradients[1].abs().max()
    assert (gradients[0] - gradients[1]).abs().max() < 0.1 * scale


def test_running_means_are_not_moved_in_silence_inside_a_transformation():
    method = made("nvil", {}, 3)
    with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
        torch.func.grad(lambda x: method.estimate(x, loss, Noise()).surrogate.sum())(
            normal(5, 2, 3)
        )


@cases(is_pathwise)
def test_samples_of_half_precision_have_its_format(name, settings):
    theta = normal(5, 2, 3).bfloat16()
    sample = estimators.get(name, **settings).sample(theta, Noise())
    assert sample.dtype == torch.bfloat16


@cases()
def test_copies_and_pickles_of_a_built_estimator_are_its_equals(name, settings):
    categories = categories_of(name, settings)
    method = made(name, settings, categories)
    twins = [copy.deepcopy(method), pickle.loads(pickle.dumps(method))]
    logits = normal(ROWS, 2, categories)

    def gradient(method):
        theta = leaf(logits)
        out = method.estimate(theta, loss, Noise(seed=1))
        return torch.autograd.grad(out.surrogate.sum(), theta)[0]

    expected = gradient(method)
    for twin in twins:
        assert torch.equal(gradient(twin), expected)


@cases(lambda method: bool(method.per_replica))
def test_a_setting_that_requires_a_gradient_is_refused(name, settings):
    for key in estimators.find(name).per_replica:
        with pytest.raises(ValueError, match=f"{key} must not require a gradient"):
            estimators.get(name, **{**settings, key: torch.nn.Parameter(torch.ones(2))})


@sized_cases(sizes=(2, 3))
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # by the compiler itself
def test_an_estimate_compiles_to_one_graph_and_stays_the_same(name, settings, categories):
    torch.compiler.reset()  # which counts what other tests compiled
    method, other = (made(name, settings, categories) for _ in range(2))
    theta, noise = leaf(normal(ROWS, 2, categories)), TorchNoise()

    def gradient(estimate):
        torch.manual_seed(3)
        return torch.autograd.grad(estimate(theta, loss, noise).surrogate.sum(), theta)[0]

    compiled = torch.compile(other.estimate, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(gradient(compiled), gradient(method.estimate))


@sized_cases(sizes=(2, 3), keep=is_pathwise)
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # by the compiler itself
def test_a_sample_compiles_to_one_graph_without_being_built(name, settings, categories):
    torch.compiler.reset()
    method, theta = estimators.get(name, **settings), leaf(normal(ROWS, 2, categories))

    def gradient(sample):
        torch.manual_seed(3)
        return torch.autograd.grad(loss(sample(theta, TorchNoise())).sum(), theta)[0]

    compiled = torch.compile(method.sample, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(gradient(compiled), gradient(method.sample))


@pytest.mark.parametrize("name", ["rebar", "reinmax"])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # by the compiler itself
def test_an_estimate_compiles_where_symbolic_sizes_are_equal(name):
    torch.compiler.reset()
    method, theta = made(name, {}, 2), leaf(normal(2, 2, 2))
    compiled = torch.compile(method.estimate, fullgraph=True, backend="eager", dynamic=True)
    compiled(theta, loss, TorchNoise()).surrogate.sum().backward()
    assert theta.grad.abs().sum() > 0
