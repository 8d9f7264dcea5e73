"""Small problems whose gradients are enumerated, and checks of any estimator on them."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from raysweep import estimators
from raysweep.estimators import Estimator, Method, Noise
from raysweep.estimators.layered import Dense, Head, LayeredEstimator, Path, PathObjective
from raysweep.estimators.vimco import bound_of

MAX_STANDARD_ERRORS = 5.5
DRAWS = 20_000


@dataclasses.dataclass
class Problem:
    """A non-quadratic loss that couples the latents and closes over a parameter and the logits.

    Args:
        logits: Logits `*B L C` of the latent variables.
        weight: Parameter of the loss, of the same shape.
    """

    logits: Tensor
    weight: Tensor

    def copies(self, count: int) -> "Problem":
        """Return the same problem on `count` rows, each with leaves of its own."""
        return Problem(*(leaf(x.expand(count, *x.shape)) for x in (self.logits, self.weight)))

    def objective(self, one_hot: Tensor) -> Tensor:
        """Return the loss `K *B` of one-hot samples `K *B L C`."""
        score = (one_hot * self.weight).sum((-2, -1))
        direct = (one_hot * self.logits).sum((-2, -1)) + (self.logits**2).sum((-2, -1))
        return _curved(score) + 0.3 * direct

    def gradients(self, surrogate: Tensor) -> Tensor:
        """Return the gradients to logits and parameter, side by side in the last axis."""
        return torch.cat(torch.autograd.grad(surrogate.sum(), (self.logits, self.weight)), -1)


@dataclasses.dataclass
class LayeredProblem:
    """A network of stochastic binary units, and a non-quadratic loss that couples its units.

    Args:
        layers: Layers of the network.
        x: Input of the first layer, `*R 1 inputs`.
        weights: Parameters of the loss, `*R units` for each layer.
        reads_all: Whether the loss reads the states and pre-activations of all layers, and not
            the last states alone.
    """

    layers: Sequence[Dense]
    x: Tensor
    weights: Sequence[Tensor]
    reads_all: bool = False

    def copies(self, count: int) -> "LayeredProblem":
        """Return the same problem in `count` replicas, each with parameters of its own."""
        layers = [Dense(*(copy(x, count) for x in (one.weight, one.bias))) for one in self.layers]
        weights = [leaf(copy(weight, count)) for weight in self.weights]
        return LayeredProblem(layers, copy(self.x, count), weights, self.reads_all)

    @property
    def objective(self) -> PathObjective:
        """The loss, as estimators take it."""
        return self._loss_of_path if self.reads_all else Head(self._loss_of_state)

    def gradients(self, surrogate: Tensor) -> Tensor:
        """Return the gradients to all parameters, layer by layer, then the loss's: `*R P`."""
        of_layers = [p for layer in self.layers for p in (layer.weight, layer.bias)]
        gradients = torch.autograd.grad(
            surrogate.sum(), [*of_layers, *self.weights], allow_unused=True, materialize_grads=True
        )
        return torch.cat([g.reshape(*self.x.shape[:-2], -1) for g in gradients], -1)

    def part(self, index: int) -> slice:
        """Return the positions of a layer's parameters among the gradients."""
        shapes = [layer.weight.shape[-2:] for layer in self.layers]
        sizes = [(inputs + 1) * outputs for inputs, outputs in shapes]
        return slice(sum(sizes[:index]), sum(sizes[: index + 1]))

    def _loss_of_state(self, state: Tensor) -> Tensor:
        return _curved((state * self.weights[-1].unsqueeze(-2)).sum(-1))

    def _loss_of_path(self, path: Path) -> Tensor:
        pairs = zip(path.states, self.weights, strict=True)
        scores = [(state * weight.unsqueeze(-2)).sum(-1) for state, weight in pairs]
        log_p = [logsigmoid(x * a).sum(-1) for x, a in zip(*path, strict=True)]
        return _curved(sum(scores[1:], start=scores[0])) + 0.5 * sum(log_p[1:], start=log_p[0])


def _curved(score: Tensor) -> Tensor:
    return torch.tanh(2 * score) + 0.4 * score**2


def copy(x: Tensor, count: int) -> Tensor:
    """Return copies of a tensor along a new first axis."""
    return x.detach().expand(count, *x.shape).clone()


def leaf(x: Tensor) -> Tensor:
    """Return a copy of a tensor as a leaf that requires its gradient."""
    return x.detach().clone().requires_grad_()


def problem(latents: int, categories: int, seed: int = 0) -> Problem:
    """Return a problem with random logits and a random parameter, in float64."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, latents, categories)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Problem(*(leaf(x) for x in values))


def layered_problem(
    units: Sequence[int] = (2, 3, 2), *, inputs: int = 2, reads_all: bool = False, seed: int = 0
) -> LayeredProblem:
    """Return a problem with a random network and a random parameter, in float64.

    Args:
        units: Number of units of each layer.
        inputs: Number of inputs of the first layer.
        reads_all: Whether the loss reads all layers, and not the last states alone.
        seed: Seed of the parameters and of the input.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sizes = (inputs, *units)
    layers = [Dense(normal(*pair), normal(pair[1]) / 2) for pair in itertools.pairwise(sizes)]
    weights = [leaf(normal(count)) for count in units]
    return LayeredProblem(layers, normal(1, inputs), weights, reads_all)


def standard_errors(sample: Tensor, exact: Tensor) -> Tensor:
    """Return by how many standard errors the mean of independent rows differs from a value."""
    error = sample.std(0) / math.sqrt(len(sample))
    return (sample.mean(0) - exact).abs() / error.clamp(min=1e-12)


class EveryState(Noise):
    """Uniforms that make row s of the batch draw state s, for inverse-distribution sampling.

    Args:
        logits: Logits `L C`, whose `C ** L` states are enumerated.
        samples: K; for more than one, row s draws tuple s of all tuples of K states.
    """

    def __init__(self, logits: Tensor, samples: int = 1) -> None:
        super().__init__()
        logits = torch.cat([logits.detach()] * samples)
        latents, categories = logits.shape
        grid = torch.cartesian_prod(*[torch.arange(categories)] * latents).view(-1, latents)
        p = logits.softmax(-1)
        middles = p.cumsum(-1) - p / 2
        self.states = torch.nn.functional.one_hot(grid, categories).to(p.dtype)
        self.middles = (self.states * middles).sum(-1)
        self.weights = (self.states * p).sum(-1).prod(-1)
        if samples > 1:
            self.middles = self.middles.unflatten(-1, (samples, -1))

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Return the middle of each state's interval; there is one shape that fits.

        Raises:
            ValueError: If another shape is asked for.
        """
        if shape != tuple(self.middles.shape):
            raise ValueError(f"expected the shape {tuple(self.middles.shape)}, got {shape}")
        return self.middles


class EveryPath(Noise):
    """Uniforms that make replica s draw path s, of all joint states of a network's layers.

    Args:
        problem: Problem without replicas, whose paths are enumerated.

    Attributes:
        weights: Probability of every path.
    """

    SURE = 2.0**-53
    """A uniform that makes a unit -1, for log-odds between -36 and 36; 1 less makes it 1."""

    def __init__(self, problem: LayeredProblem) -> None:
        super().__init__()
        units = [len(layer.bias) for layer in problem.layers]
        signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=sum(units)))).double()
        self.states = signs.split(units, -1)
        log_p = torch.zeros(len(signs), dtype=torch.float64)
        before = problem.x
        for layer, state in zip(problem.layers, self.states, strict=True):
            log_p = log_p + logsigmoid(state * layer(before).detach()).sum(-1)
            before = state
        self.weights = log_p.exp()
        self._index = 0

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Return the numbers of the next layer, after the last those of the first.

        Raises:
            ValueError: If the shape is not that of one sample for each path.
        """
        state = self.states[self._index % len(self.states)]
        self._index += 1
        expected = (len(state), 1, 1, state.shape[-1])
        if shape != expected:
            raise ValueError(f"expected the shape {expected}, got {shape}")
        return torch.where(state > 0, 1 - self.SURE, self.SURE).view(shape)


def expected_layered_gradient(method: LayeredEstimator, problem: LayeredProblem) -> Tensor:
    """Return the exact expectation of a one-sample estimator's gradient to all parameters.

    Args:
        method: Estimator whose estimate depends on the states alone, not on how they were drawn.
        problem: Problem without replicas.
    """
    every = EveryPath(problem)
    rows = problem.copies(len(every.weights))
    estimate = method.estimate(rows.layers, rows.x, rows.objective, every)
    return every.weights @ rows.gradients(estimate.surrogate)


def exact_layered_gradient(problem: LayeredProblem) -> Tensor:
    """Return the gradient of the expected objective to all parameters, by enumeration."""
    method = estimators.get("exact", family="layered")
    estimate = method.estimate(problem.layers, problem.x, problem.objective, Noise())
    return problem.gradients(estimate.surrogate)


def expected_gradient(
    method: Estimator, logits: Tensor, objective: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the exact expectation of an estimator's gradient to the logits `L C`.

    Args:
        method: Estimator that draws its K samples by one uniform per sample and variable.
        logits: Logits, whose tuples of K states are enumerated.
        objective: Function from one-hot samples to losses.
    """
    every = EveryState(logits, method.samples)
    rows = leaf(logits.expand(len(every.weights), *logits.shape))
    estimate = method.estimate(rows, objective, every)
    (gradient,) = torch.autograd.grad(estimate.surrogate.sum(), rows)
    return (every.weights[:, None, None] * gradient).sum(0)


def exact_target(
    method: Estimator, logits: Tensor, objective: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return by enumeration what an estimator's estimates are of, differentiable.

    Args:
        method: Estimator, which declares its target.
        logits: Logits `*B L C`.
        objective: Function from one-hot `K *B L C` to losses `K *B`.
    """
    if method.target == "mean":
        return estimators.exact.expectation(logits, objective, method.link)

    def bound(one_hot: Tensor) -> Tensor:
        parts = one_hot.chunk(method.samples, -2)
        return bound_of(torch.stack([objective(part) for part in parts]))

    many = torch.cat([logits] * method.samples, -2)
    return estimators.exact.expectation(many, bound, method.link)


def exact_gradient(logits: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient of the expected objective, by enumeration."""
    theta = leaf(logits)
    return torch.autograd.grad(estimators.exact.expectation(theta, objective), theta)[0]


def randomise(method: Method[Any], seed: int = 1, scale: float = 0.3) -> None:
    """Move each parameter of a built estimator at random, another way for each replica."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)


def total_variance(sample: Tensor) -> Tensor:
    """Return the squared distance of each row to the mean; its mean is the total variance."""
    return (sample - sample.mean(0)).square().flatten(1).sum(1)


def varies_less(fewer: Tensor, more: Tensor, factor: float = 1.0) -> bool:
    """Return whether rows vary less than others times a factor, by five standard errors."""
    excess = factor * total_variance(more) - total_variance(fewer)
    return bool(excess.mean() > 5 * excess.std() / math.sqrt(len(excess)))


def check_estimator(method: Estimator, latents: int = 2, categories: int = 2) -> None:
    """Check an estimator's shape, its randomness, and that it is unbiased if it declares so.

    Means over `DRAWS` independent estimates are compared with the enumerated gradient, to the
    logits and to a parameter of the objective.

    Args:
        method: The estimator; one with learned parts is built for the given sizes.
        latents: Number of latent variables.
        categories: Number of categories of each.

    Raises:
        AssertionError: If a check fails; the message says which.
    """
    method.build(latents, categories)
    small = problem(latents, categories)
    many = small.copies(DRAWS)

    def draw() -> tuple[Tensor, Tensor]:
        estimate = method.estimate(many.logits, many.objective, Noise(seed=0))
        return estimate.surrogate, many.gradients(estimate.surrogate)

    loss = exact_target(method, small.logits, small.objective)
    _check(method, draw, (DRAWS,), small.gradients(loss))


def check_layered_estimator(method: LayeredEstimator, units: Sequence[int] = (2, 3, 2)) -> None:
    """Check an estimator of the layered family as `check_estimator` does.

    The gradients are those to the layers' parameters and to those of the objective: one that reads
    the last states alone, and, unless the estimator refuses it, one that reads all layers.

    Args:
        method: The estimator; one with learned parts is built for the given number of layers.
        units: Number of units of each layer.

    Raises:
        AssertionError: If a check fails; the message says which.
    """
    method.build(len(units))
    for reads_all in (False, True)[: 1 if method.needs_head else 2]:
        small = layered_problem(units, reads_all=reads_all)
        many = small.copies(DRAWS)

        def draw(many: LayeredProblem = many) -> tuple[Tensor, Tensor]:
            noise = Noise(seed=0)
            estimate = method.estimate(many.layers, many.x, many.objective, noise)
            return estimate.surrogate, many.gradients(estimate.surrogate)

        _check(method, draw, (DRAWS, 1), exact_layered_gradient(small))


def _check(
    method: Method[Any],
    draw: Callable[[], tuple[Tensor, Tensor]],
    shape: tuple[int, ...],
    exact: Tensor,
) -> None:
    """Check estimates: their shape, randomness and mean.

    Args:
        method: Estimator that is checked.
        draw: Function that returns surrogates and independent gradients, always with equal noise.
        shape: Shape of the surrogates.
        exact: Exact gradient to the same parameters.

    Raises:
        AssertionError: If a check fails; the message says which.
    """
    state = {key: value.clone() for key, value in method.state_dict().items()}
    surrogate, sample = draw()
    if surrogate.shape != shape:
        raise AssertionError(
            f"{method.name}: expected a surrogate for each of {DRAWS} examples, got the shape "
            f"{tuple(surrogate.shape)}"
        )
    method.load_state_dict(state)  # running moments have moved
    if not torch.equal(sample, draw()[1]):
        raise AssertionError(f"{method.name}: two estimates with the same noise differ")
    distance = standard_errors(sample, exact).max().item()
    if method.unbiased and distance > MAX_STANDARD_ERRORS:
        raise AssertionError(
            f"{method.name}: declared unbiased, but a mean gradient is {distance:.1f} standard "
            "errors away from the exact one"
        )
