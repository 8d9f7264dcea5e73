"""Time of estimators against plain transcriptions of their formulas, as scripts have them.

`python -m benchmarks.against_public` draws samples, takes a loss that is linear in them, and its
gradient to the logits, by both in turn, so that other programs slow both alike. Each transcription
follows a formula in print with torch's operations and torch's generator; none is a copy of
anybody's code. The ratio is of the least times: below 1, raysweep is faster.
"""

import time
from collections.abc import Callable

import click
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import machine
from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators import functional as ours

SHAPES = ((16, 1, 3), (100, 8, 4), (100, 10, 30), (100, 32, 64))
DRAWS = 10
Sampler = Callable[[Tensor], Tensor]


def hard(p: Tensor) -> Tensor:
    """Return one-hot samples with these probabilities."""
    drawn = torch.multinomial(p.detach().flatten(0, -2), 1).view(p.shape[:-1])
    return functional.one_hot(drawn, p.shape[-1]).to(p)


def straight_through(theta: Tensor) -> Tensor:
    """Bengio et al. (2013)."""
    p = theta.softmax(-1)
    return hard(p) + p - p.detach()


def gumbel_hard(theta: Tensor) -> Tensor:
    """Jang et al. (2017), by torch itself."""
    return functional.gumbel_softmax(theta, 0.7, hard=True)


def gumbel_soft(theta: Tensor) -> Tensor:
    """Jang et al. (2017), by torch itself."""
    return functional.gumbel_softmax(theta, 0.7)


def reinmax(theta: Tensor) -> Tensor:
    """Liu et al. (2023), algorithm 2."""
    p = theta.softmax(-1)
    drawn = hard(p)
    middle = (drawn + (theta / 1.1).softmax(-1)) / 2
    shifted = ((middle.log() - theta).detach() + theta).softmax(-1)
    path = 2 * shifted - p / 2
    return path - path.detach() + drawn


def gapped(theta: Tensor) -> Tensor:
    """Fan et al. (2022), with a gap of 1."""
    drawn = hard(theta.softmax(-1))
    top = theta.amax(-1, keepdim=True)
    at_drawn = (theta * drawn).sum(-1, keepdim=True)
    move = (top - at_drawn) * drawn - (1 - drawn) * torch.relu(theta - (top - 1))
    soft = ((theta + move.detach()) / 0.7).softmax(-1)
    return soft - soft.detach() + drawn


def gumbel_rao(theta: Tensor) -> Tensor:
    """Paulus et al. (2021), with conditional draws of the noise."""
    weights = theta.detach().exp()
    drawn = hard(weights / weights.sum(-1, keepdim=True))
    draws = torch.empty(DRAWS, *theta.shape, device=theta.device).exponential_()
    top = (draws * drawn).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True)
    perturbed = torch.where(drawn.bool(), -top.log(), -(draws / weights + top).log())
    soft = (((perturbed - theta).detach() + theta) / 0.7).softmax(-1).mean(0)
    return soft - soft.detach() + drawn


PLAIN: dict[str, Sampler] = {
    "straight_through": straight_through,
    "st_gumbel_softmax": gumbel_hard,
    "gumbel_softmax": gumbel_soft,
    "gapped_st": gapped,
    "gumbel_rao": gumbel_rao,
    "reinmax": reinmax,
}
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


def least_times(samplers: dict[str, Sampler], theta: Tensor, rounds: int) -> dict[str, float]:
    """Return the least time of a sample and its gradient, in seconds, for each of some samplers."""
    weight = torch.randn_like(theta)
    times = dict.fromkeys(samplers, float("inf"))
    repeats = 3 if theta.numel() > 10**5 else 50
    for _ in range(rounds):
        for key, sampler in samplers.items():
            began = time.perf_counter()
            for _ in range(repeats):
                torch.autograd.grad((sampler(theta) * weight).sum(), theta)
            if theta.is_cuda:
                torch.cuda.synchronize()
            times[key] = min(times[key], (time.perf_counter() - began) / repeats)
    return times


@click.command()
@click.option("--rounds", default=15, help="Number of turns.")
def main(rounds: int) -> None:
    """Print the times, in microseconds, and their ratios."""
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    click.echo(f"{machine.description()}; one thread; {DRAWS} draws of gumbel_rao\n")
    click.echo("| B, L, C | estimator | plain, µs | function | class |")
    click.echo("| --- | --- | ---: | ---: | ---: |")
    for shape in SHAPES:
        theta = torch.randn(shape, device=device, requires_grad=True)
        for name, plain in PLAIN.items():
            samplers = {"plain": plain, "function": FUNCTIONS[name]}
            if name in SETTINGS:
                samplers["class"] = with_noise(name)
            times = least_times(samplers, theta, rounds)
            ratios = [
                f"{times[key] / times['plain']:.2f}" if key in times else "–"
                for key in ("function", "class")
            ]
            cells = [", ".join(map(str, shape)), name, f"{times['plain'] * 1e6:,.0f}", *ratios]
            click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
