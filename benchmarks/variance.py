"""How much each estimator's gradients vary on fixed problems, before and after it has learned.

The problem couples L variables through a loss that is neither linear nor quadratic; its logits,
its weights and every stream have fixed seeds. The figure is the variance of the gradient to the
logits, summed over coordinates, of one estimate per example, divided by the squared norm of the
exact gradient; the standard error comes from the examples. What learns follows its tuning loss with
Adam on batches of 200.
"""

import math
from collections.abc import Callable
from typing import Any

import click
import torch
from torch import Tensor

from raysweep import estimators
from raysweep.estimators import Estimator, Noise

ROWS, BATCH, LEARNING_RATE = 20_000, 200, 0.02
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "REINFORCE": ("reinforce", {}),
    "RLOO 2": ("reinforce_loo", {}),
    "RLOO 4": ("reinforce_loo", {"samples": 4}),
    "NVIL": ("nvil", {}),
    "SimpleMuProp, eta from 0.2": ("muprop", {"linear": False, "eta": 0.2}),
    "MuProp": ("muprop", {}),
    "REBAR, lambda from 0.1": ("rebar", {"temperature": 0.1}),
    "  uncoupled": ("rebar", {"temperature": 0.1, "coupled": False}),
    "  only eta learned": ("rebar", {"temperature": 0.1, "learn_temperature": False}),
    "  only lambda learned": ("rebar", {"temperature": 0.1, "learn_eta": False}),
    "  equation 7": ("rebar", {"temperature": 0.1, "relaxation": "muprop"}),
    "RELAX, lambda from 0.1": ("relax", {"temperature": 0.1}),
    "ARM": ("arm", {}),
    "DisARM": ("disarm", {}),
    "DisARM-SB": ("disarm_sb", {}),
    "DisARM-SB, ascending": ("disarm_sb", {"order": "ascending"}),
    "DisARM-IW": ("disarm_iw", {}),
    "DisARM-Tree": ("disarm_tree", {}),
    "ARMS 4": ("arms", {"samples": 4}),
    "ARS": ("ars", {}),
    "ARS+": ("ars_plus", {}),
    "ARS+, bounds as published (biased)": ("ars_plus", {"bounds": "paper"}),
    "ARSM": ("arsm", {}),
    "ARSM+": ("arsm_plus", {}),
    "Double CV 2": ("double_cv", {}),
    "RODEO 2": ("rodeo", {}),
    "Double CV 4": ("double_cv", {"samples": 4}),
    "RODEO 4": ("rodeo", {"samples": 4}),
    "LEG": ("local_expectation", {}),
    "Unordered set 2": ("unordered_set", {}),
    "Unordered set 4": ("unordered_set", {"samples": 4}),
    "Unordered set 4, no baseline": ("unordered_set", {"samples": 4, "baseline": False}),
}


def problem(
    latents: int, categories: int, seed: int = 0
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Logits `L C` and an objective."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(4, latents, categories, generator=generator, dtype=torch.float64)
    logits, *weights = values

    def objective(one_hot: Tensor) -> Tensor:
        # three directions, so that no function of one loss tells the others
        a, b, c = ((one_hot * weight).sum((-2, -1)) for weight in weights)
        return torch.tanh(a) * (1 + b) + 0.1 * c.square()

    return logits, objective


def learn(method: Estimator, logits: Tensor, objective: Callable, steps: int) -> None:
    """Follows the tuning loss, and lets running moments follow."""
    parameters = list(method.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE) if parameters else None
    noise = Noise(seed=1)
    for step in range(steps):
        noise.at(step)
        out = method.estimate(logits.expand(BATCH, *logits.shape), objective, noise)
        if optimizer is not None:
            optimizer.zero_grad()
            out.tuning_loss.mean().backward()
            optimizer.step()


def variance(
    method: Estimator, logits: Tensor, objective: Callable, count: int = ROWS
) -> tuple[float, float]:
    """The variance of an example's gradient summed over coordinates, and its standard error."""
    rows = logits.expand(count, *logits.shape).clone().requires_grad_()
    out = method.estimate(rows, objective, Noise(seed=2))
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), rows)
    squares = (gradient - gradient.mean(0)).square().sum((-2, -1))
    return squares.mean().item(), squares.std().item() / math.sqrt(count)


def show(latents: int, categories: int, steps: int) -> None:
    """A line for every method that takes the problem."""
    logits, objective = problem(latents, categories)
    theta = logits.clone().requires_grad_()
    (exact,) = torch.autograd.grad(estimators.exact.expectation(theta, objective), theta)
    unit = exact.square().sum().item()
    click.echo(f"\nL = {latents}, C = {categories}: variance over squared gradient {unit:.4f}")
    click.echo(f"{'':36s} {'calls':>5s} {'at the start':>18s} {'learned':>18s} {'ratio':>7s}")
    for label, (name, settings) in METHODS.items():
        method = estimators.get(name, **settings)
        if method.check(latents, categories) is not None:
            continue
        method.build(latents, categories)
        before, error = variance(method, logits, objective)
        line = f"{label:36s} {method.evaluations(latents, categories):5d}"
        line += f" {before / unit:10.3f} ± {error / unit:.3f}"
        if method.state_dict():
            learn(method, logits, objective, steps)
            after, error = variance(method, logits, objective)
            line += f" {after / unit:10.3f} ± {error / unit:.3f} {after / before:7.2f}"
        click.echo(line)


@click.command()
@click.option("--steps", default=1000, show_default=True, help="Updates of what is learned.")
@click.option("--latents", default=6, show_default=True, help="Variables, L.")
def main(steps: int, latents: int) -> None:
    """Prints the variance of the unbiased estimators of a mean, for 2 and for 3 categories."""
    torch.set_num_threads(1)
    for categories in (2, 3):
        show(latents, categories, steps)


if __name__ == "__main__":
    main()
