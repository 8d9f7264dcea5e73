"""Time of estimators against plain transcriptions of their formulas, as scripts have them.

`python -m benchmarks.against_public` draws samples of the pathwise
estimators, takes a loss that is linear in them, and its gradient to the logits; and it takes
gradients of a loss that is not, by score functions and control variates. raysweep and the plain
formulas take turns, so that other programs slow both alike. The ratio is of the least times: below
1, raysweep is faster.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click
import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.plain_formulas import DRAWS, SAMPLERS, SURROGATES, Loss, Sampler, Surrogate
from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators import functional as ours

SHAPES = ((16, 1, 3), (100, 8, 4), (100, 10, 30), (100, 32, 64))
BINARY = ((16, 1, 2), (100, 8, 2), (100, 200, 2))
FUNCTIONS: dict[str, Sampler] = {
    "straight_through": lambda theta: ours.straight_through(theta, validate=False),
    "st_gumbel_softmax": lambda theta: ours.gumbel_softmax(theta, 0.7, hard=True, validate=False),
    "gumbel_softmax": lambda theta: ours.gumbel_softmax(theta, 0.7, validate=False),
    "gapped_st": lambda theta: ours.gapped_st(theta, 0.7, validate=False),
    "gumbel_rao": lambda theta: ours.gumbel_rao(theta, 0.7, samples=DRAWS, validate=False),
    "reinmax": lambda theta: ours.reinmax(theta, 1.1, validate=False),
}
SETTINGS = {
    "straight_through": {},
    "st_gumbel_softmax": {"temperature": 0.7},
    "gapped_st": {"temperature": 0.7},
    "gumbel_rao": {"temperature": 0.7, "samples": DRAWS},
    "reinmax": {"temperature": 1.1},
}
FIXED = {"eta": 1.0, "temperature": 0.5, "learn_eta": False, "learn_temperature": False}
ESTIMATES: dict[str, tuple[str, dict[str, Any]]] = {
    "reinforce": ("reinforce", {}),
    "reinforce_loo": ("reinforce_loo", {"samples": 4}),
    "muprop": ("muprop", {"eta": 1.0, "learn_eta": False}),
    "rebar, uncoupled": ("rebar", {"coupled": False, **FIXED}),
    "rebar, uncoupled, learned": ("rebar", {"coupled": False}),
    "arm": ("arm", {}),
    "disarm": ("disarm", {}),
    "arms": ("arms", {"samples": 4}),
}
Call = Callable[[], object]
Row = tuple[str, dict[str, float]]


def with_noise(name: str) -> Sampler:
    """Return the estimator's `sample` at one step after another, as tasks call it."""
    method = estimators.get(name, **SETTINGS[name])
    if not isinstance(method, estimators.PathwiseEstimator):
        raise TypeError(f"expected an estimator with samples, got {name}")
    method.validate = False
    noise, step = Noise(seed=0), iter(range(2**62))

    def sample(theta: Tensor) -> Tensor:
        noise.at(next(step))
        return method.sample(theta, noise)

    return sample


def estimated(name: str, settings: dict[str, Any], theta: Tensor, loss: Loss) -> Call:
    """Return a call of an estimator at one step after another, and its gradients."""
    method = estimators.get(name, **settings)
    method.validate = False
    method.build(*theta.shape[-2:])
    method.to(theta.device)
    noise, step = Noise(seed=0), iter(range(2**62))
    learned = list(method.parameters())

    def call() -> None:
        noise.at(next(step))
        out = method.estimate(theta, loss, noise)
        total = out.surrogate.sum()
        if out.tuning_loss is not None:
            torch.autograd.grad(out.tuning_loss.sum(), learned, retain_graph=True)
        torch.autograd.grad(total, theta)

    return call


def least_times(calls: dict[str, Call], theta: Tensor, rounds: int) -> dict[str, float]:
    """Return the least time of each of some calls, in seconds, that take turns."""
    times = dict.fromkeys(calls, float("inf"))
    repeats = 3 if theta.numel() > 10**5 else 50
    for _ in range(rounds):
        for key, call in calls.items():
            began = time.perf_counter()
            for _ in range(repeats):
                call()
            if theta.is_cuda:
                torch.cuda.synchronize()
            times[key] = min(times[key], (time.perf_counter() - began) / repeats)
    return times


def pathwise(theta: Tensor, rounds: int) -> Iterator[Row]:
    """Yield times of samples and their gradient."""
    weight = torch.randn_like(theta)

    def of(sampler: Sampler) -> Call:
        return lambda: torch.autograd.grad((sampler(theta) * weight).sum(), theta)

    for name, plain in SAMPLERS.items():
        samplers = {"plain": plain, "function": FUNCTIONS[name]}
        if name in SETTINGS:
            samplers["class"] = with_noise(name)
        calls = {key: of(sampler) for key, sampler in samplers.items()}
        yield name, least_times(calls, theta, rounds)


def score_functions(theta: Tensor, rounds: int) -> Iterator[Row]:
    """Yield times of estimates and their gradient."""
    weight = torch.randn(theta.shape[-2:].numel(), device=theta.device)

    def loss(sample: Tensor) -> Tensor:
        score = sample.flatten(-2) @ weight
        return score.tanh() + 0.4 * score.square()

    for label, plain in SURROGATES.items():
        name, settings = ESTIMATES[label]
        if estimators.get(name, **settings).check(*theta.shape[-2:]) is not None:
            continue
        calls = {
            "plain": partial(_differentiate, plain, theta, loss),
            "class": estimated(name, settings, theta, loss),
        }
        yield label, least_times(calls, theta, rounds)


def _differentiate(surrogate: Surrogate, theta: Tensor, loss: Loss) -> None:
    torch.autograd.grad(surrogate(theta, loss).sum(), theta)


@click.command()
@click.option("--rounds", default=15, help="Number of turns.")
def main(rounds: int) -> None:
    """Print the times, in microseconds, and their ratios."""
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    click.echo(f"{machine.description()}; one thread; {DRAWS} draws of gumbel_rao\n")
    click.echo("| B, L, C | estimator | plain, µs | function | class |")
    click.echo("| --- | --- | ---: | ---: | ---: |")
    for kind, shapes in ((pathwise, SHAPES), (score_functions, SHAPES + BINARY)):
        for shape in shapes:
            theta = torch.randn(shape, device=device, requires_grad=True)
            for name, times in kind(theta, rounds):
                ratios = [
                    f"{times[key] / times['plain']:.2f}" if key in times else "–"
                    for key in ("function", "class")
                ]
                cells = [", ".join(map(str, shape)), name, f"{times['plain'] * 1e6:,.0f}"]
                click.echo(f"| {' | '.join(cells + ratios)} |")


if __name__ == "__main__":
    main()
