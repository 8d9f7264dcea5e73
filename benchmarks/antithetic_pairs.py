"""How much DisARM of several categories varies, relative to leave-one-out with two samples.

Ratios of variances, as `benchmarks.variance` measures them, on many random problems: the geometric
mean over the problems, and the least and the greatest ratio. Logits are normal numbers times a
spread, which changes from problem to problem. Everything makes two evaluations of the objective per
example, except leave-one-out with more samples, whose ratio is multiplied by the number of
evaluations over two, as twice the evaluations by two samples halve the variance.
"""

import math
from typing import Any

import click
import torch

from benchmarks.variance import problem, variance
from raysweep import estimators

SIZES = ((1, 2), (1, 3), (1, 4), (1, 5), (1, 8), (1, 16), (6, 3), (6, 4), (6, 5), (6, 8), (6, 16))
SPREADS = (0.5, 1.5, 3.0)
EXAMPLES = 4_000


def methods(categories: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Estimators by their labels."""
    return {
        **{
            order: ("disarm_sb", {"order": order}) for order in ("descending", "ascending", "given")
        },
        "IW": ("disarm_iw", {}),
        "tree": ("disarm_tree", {}),
        "RLOO C": ("reinforce_loo", {"samples": categories}),
    }


def ratios(latents: int, categories: int, problems: int) -> dict[str, list[float]]:
    """The logs of the ratios on every problem."""
    found: dict[str, list[float]] = {label: [] for label in methods(categories)}
    for seed in range(problems):
        logits, objective = problem(latents, categories, seed)
        logits = logits * SPREADS[seed % len(SPREADS)]
        base, _ = variance(estimators.get("reinforce_loo"), logits, objective, EXAMPLES)
        for label, (name, settings) in methods(categories).items():
            method = estimators.get(name, **settings)
            own, _ = variance(method, logits, objective, EXAMPLES)
            found[label].append(math.log(own / base * method.samples / 2))
    return found


@click.command()
@click.option("--problems", default=90, show_default=True, help="Random problems of each size.")
def main(problems: int) -> None:
    """Prints a row for every number of variables and categories."""
    torch.set_num_threads(1)
    click.echo(" L  C " + "".join(f"{label:>20s}" for label in methods(2)))
    for latents, categories in SIZES:
        line = f"{latents:2d} {categories:2d} "
        for logs in ratios(latents, categories, problems).values():
            mean, low, high = (math.exp(x) for x in (sum(logs) / problems, min(logs), max(logs)))
            line += f"{mean:7.2f} ({low:.2f}–{high:.2f})"
        click.echo(line)


if __name__ == "__main__":
    main()
