"""Functions in the manner of `F.gumbel_softmax`."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import gumbel_softmax

from raysweep import estimators
from raysweep.estimators import Noise, functional
from raysweep.testing.estimators import leaf

HARD = {
    "straight_through": functional.straight_through,
    "st_gumbel_softmax": lambda *args, **options: functional.gumbel_softmax(
        *args, hard=True, **options
    ),
    "gumbel_rao": functional.gumbel_rao,
    "gapped_st": functional.gapped_st,
    "reinmax": functional.reinmax,
}
EVERY = {**HARD, "gumbel_softmax": functional.gumbel_softmax}
each_hard = pytest.mark.parametrize("name", HARD)
each_one = pytest.mark.parametrize("name", EVERY)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def loss(sample):
    return (sample * torch.arange(sample.shape[-1], dtype=sample.dtype)).sum(-1).tanh().sum()


def gradient(function, logits, **options):
    theta = leaf(logits)
    return torch.autograd.grad(loss(function(theta, **options)), theta)[0]


def test_every_pathwise_estimator_has_a_function():
    pathwise = {
        name
        for name in estimators.names()
        if issubclass(estimators.find(name), estimators.PathwiseEstimator)
    }
    assert pathwise == set(EVERY)


@each_hard
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 1, 3, 4)], ids=str)
def test_a_function_draws_what_its_class_does(name, shape):
    logits, method = normal(*shape), estimators.get(name)
    rows = leaf(logits if logits.dim() > 1 else logits.unsqueeze(0))
    sample = method.sample(rows, Noise(seed=3))
    (expected,) = torch.autograd.grad(loss(sample), rows)
    theta = leaf(logits)
    found = HARD[name](theta, generator=Noise(seed=3))
    assert torch.equal(found, sample.view(shape).detach())
    assert torch.equal(torch.autograd.grad(loss(found), theta)[0], expected.view(shape))


@each_one
@pytest.mark.parametrize("dim", [0, 1, -2, -1])
def test_categories_lie_along_the_given_dimension(name, dim):
    logits = normal(2, 3, 4)
    sample = EVERY[name](logits, dim=dim)
    assert sample.shape == logits.shape
    torch.testing.assert_close(sample.sum(dim), torch.ones_like(sample.sum(dim)))
    moved = EVERY[name](logits.movedim(dim, -1), generator=torch.Generator().manual_seed(1))
    placed = EVERY[name](logits, dim=dim, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(placed.movedim(dim, -1), moved)


def test_relaxed_samples_are_those_of_torch():
    logits = normal(5, 3)
    torch.manual_seed(2)
    expected = gumbel_softmax(logits, tau=0.7)
    torch.manual_seed(2)
    torch.testing.assert_close(functional.gumbel_softmax(logits, 0.7), expected)


def test_hard_samples_have_the_gradient_of_torch():
    logits = normal(5, 3)
    torch.manual_seed(2)
    expected = gradient(gumbel_softmax, logits, tau=0.7, hard=True)
    torch.manual_seed(2)
    found = gradient(functional.gumbel_softmax, logits, temperature=0.7, hard=True)
    torch.testing.assert_close(found, expected)


@each_one
def test_a_generator_makes_samples_that_can_be_repeated(name):
    logits = normal(50, 3)
    first, second, other = (
        EVERY[name](logits, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@each_one
def test_without_a_generator_torchs_global_one_is_used(name):
    logits, samples = normal(50, 3), []
    for _ in range(2):
        torch.manual_seed(7)
        samples.append(EVERY[name](logits))
    assert torch.equal(*samples)
    assert not torch.equal(EVERY[name](logits), samples[0])


@each_one
def test_masked_categories_are_never_drawn_and_get_no_gradient(name):
    mask = torch.tensor([True, False, True, True])
    theta = leaf(normal(200, 4))
    sample = EVERY[name](theta, mask=mask)
    assert not sample[:, 1].any()
    (found,) = torch.autograd.grad(loss(sample), theta)
    assert found.isfinite().all()
    assert not found[:, 1].any()
    assert found[:, 0].any()


@each_one
def test_nothing_left_to_draw_is_refused(name):
    with pytest.raises(ValueError, match="has no category that is not masked"):
        EVERY[name](normal(5, 3), mask=torch.zeros(3, dtype=torch.bool))
    EVERY[name](normal(5, 3), mask=torch.zeros(3, dtype=torch.bool), validate=False)


@each_one
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(name, dtype):
    logits = normal(200, 3).to(dtype)
    half = gradient(EVERY[name], logits, generator=torch.Generator().manual_seed(1))
    single = gradient(EVERY[name], logits.float(), generator=torch.Generator().manual_seed(1))
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), single, rtol=0.02, atol=0.02)
    assert EVERY[name](logits).dtype == dtype


@each_one
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperature": 0.0}, ValueError, "temperature must be finite"),
        ({"dim": 2}, ValueError, "dim must be a dimension of the logits, got 2"),
        ({"dim": True}, TypeError, "dim must be an integer, got True"),
        ({"mask": torch.ones(3)}, TypeError, "mask must be a boolean tensor, True where"),
        ({"mask": [True] * 3}, TypeError, "mask must be a boolean tensor, .*, got list"),
        (
            {"mask": torch.ones(4, 5, 3).bool(), "dim": 1},
            ValueError,
            r"mask must broadcast to the logits \(5, 3\), got \(4, 5, 3\)",
        ),
        (
            {"generator": 0},
            TypeError,
            r"generator must be a torch\.Generator or a Noise .* got int",
        ),
        ({"temperature": True}, TypeError, "temperature must be a number or a tensor"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(name, options, error, message):
    EVERY[name](normal(5, 3), temperature=1.0)  # which is kept, and equals True
    with pytest.raises(error, match=message) as refused:
        EVERY[name](normal(5, 3), **options)
    assert "\n" not in str(refused.value)


@each_hard
def test_a_temperature_that_would_not_learn_is_refused(name):
    with pytest.raises(TypeError, match="to which no gradient is computed"):
        HARD[name](normal(5, 3), temperature=torch.nn.Parameter(torch.tensor(1.0)))


def test_the_temperature_of_relaxed_samples_learns():
    temperature = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    logits = normal(5, 3)

    def value(t):
        torch.manual_seed(0)
        return loss(functional.gumbel_softmax(logits, t))

    (found,) = torch.autograd.grad(value(temperature), temperature)
    slope = (value(0.7 + 1e-6) - value(0.7 - 1e-6)) / 2e-6
    assert found.item() == pytest.approx(slope.item(), rel=1e-5)


def test_a_temperature_of_each_position_lies_as_the_logits_do():
    logits, temperatures = normal(2, 3, 4), torch.tensor([0.1, 1.0, 9.0, 99.0]).view(1, 1, 4)
    torch.manual_seed(1)
    found = functional.gumbel_softmax(logits, temperatures, dim=1)
    torch.manual_seed(1)
    expected = gumbel_softmax(logits.movedim(1, -1), temperatures.movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("temperature", "message"),
    [
        (torch.tensor(0.0), "temperature must be positive, got 0"),
        (torch.ones(2, 1, 1), "temperature must broadcast to the logits"),
    ],
)
def test_a_temperature_that_does_not_fit_is_refused(temperature, message):
    with pytest.raises(ValueError, match=message):
        functional.gumbel_softmax(normal(5, 3), temperature)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_refused_where_they_are(value):
    logits = normal(5, 3)
    logits[3, 1] = value
    with pytest.raises(ValueError, match=r"logits\[3\] must be numbers, or -inf to mask"):
        functional.reinmax(logits)


@each_one
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # by the compiler itself
def test_a_compiled_function_follows_a_temperature_that_changes(name):
    torch.compiler.reset()  # which counts what other tests compiled
    compiled = torch.compile(
        lambda x, t: EVERY[name](x, temperature=t), fullgraph=True, backend="aot_eager"
    )
    theta, sizes = leaf(torch.zeros(50, 2)), []
    for temperature in (1.5, 2.0, 3.0, 60.0):
        torch.manual_seed(0)
        (found,) = torch.autograd.grad(loss(compiled(theta, temperature)), theta)
        sizes.append(found.abs().mean().item())
    assert sizes == sorted(sizes, reverse=True) or name == "reinmax"  # whose is 2 J(m) - J(p) / 2
    assert all(math.isfinite(size) for size in sizes)


@each_one
@pytest.mark.parametrize("categories", [2, 3, 20])
def test_torch_func_grad_is_the_gradient(name, categories):
    logits = normal(5, categories)
    expected = gradient(EVERY[name], logits, generator=Noise(seed=1))
    found = torch.func.grad(lambda x: loss(EVERY[name](x, generator=Noise(seed=1))))(logits)
    torch.testing.assert_close(found, expected)


@each_one
@pytest.mark.parametrize("categories", [2, 3])
def test_vmap_draws_for_every_row(name, categories):
    logits = torch.zeros(2000, categories, dtype=torch.float64)
    logits[:, 0] = math.log(2)
    torch.manual_seed(0)
    draw = torch.func.vmap(EVERY[name], randomness="different")
    sample = draw(logits)
    share = (sample.argmax(-1) == 0).double().mean()
    p = 2 / (categories + 1)
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / 2000)
    per_row = torch.func.vmap(
        torch.func.grad(lambda x: loss(EVERY[name](x))), randomness="different"
    )
    assert per_row(logits).isfinite().all()


@each_one
@pytest.mark.parametrize("categories", [2, 3])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # by the compiler itself
def test_one_graph_is_compiled(name, categories):
    torch.compiler.reset()
    torch.manual_seed(0)
    theta = leaf(normal(500, categories))
    compiled = torch.compile(EVERY[name], fullgraph=True, backend="aot_eager")
    sample = compiled(theta)
    torch.testing.assert_close(sample.sum(-1), torch.ones_like(sample.sum(-1)))
    (found,) = torch.autograd.grad(loss(sample), theta)
    expected = gradient(EVERY[name], theta)
    error = (found.std(0) + expected.std(0)) / math.sqrt(500) + 1e-12
    assert ((found.mean(0) - expected.mean(0)).abs() < 6 * error).all()


@each_hard
def test_a_second_derivative_is_refused_in_every_mode(name):
    logits = normal(5, 3)

    def value(x):
        return loss(HARD[name](x, generator=Noise(seed=1))) ** 2

    theta = leaf(logits)
    (first,) = torch.autograd.grad(value(theta), theta, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated again"):
        first.sum().backward()
    with pytest.raises(RuntimeError, match="differentiated again"):
        torch.func.grad(lambda x: torch.func.grad(value)(x).sum())(logits)


@pytest.mark.parametrize("temperature", [[1.0, 2.0], np.array([1.0, 2.0])], ids=["list", "array"])
def test_a_temperature_that_is_no_number_is_refused(temperature):
    with pytest.raises(TypeError, match="temperature must be a number"):
        functional.reinmax(torch.zeros(2, 3), temperature=temperature)


@each_one
@pytest.mark.parametrize("shape", [(1,), (5, 1)])
def test_the_only_category_is_sure_and_has_no_gradient(name, shape):
    theta = leaf(normal(*shape))
    sample = EVERY[name](theta)
    assert torch.equal(sample, torch.ones(shape, dtype=theta.dtype))
    (found,) = torch.autograd.grad(sample.sum(), theta)
    assert torch.equal(found, torch.zeros(shape, dtype=theta.dtype))


def test_a_gap_that_is_a_tensor_is_refused_with_the_reason():
    gap = torch.nn.Parameter(torch.tensor(1.0))
    with pytest.raises(TypeError, match=r"gap must be .* a tensor, for which no gradient is comp"):
        functional.gapped_st(normal(5, 3), gap=gap)
