"""What searches, early stopping and fresh seeds are worth, where the truth is known.

`python -m benchmarks.search [--repetitions 20] [--out docs/figures]` runs real sweeps of the task
`valley`, in this machine's processes, and compares the true, noise-free loss of what they select.
The repetition is the search seed, and the world that draws the best place and the noise. Intervals
of medians are bootstrapped (95 %); differences and biases are means ± standard errors.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks import machine, search_figures
from benchmarks.searches import SAMPLERS, Case, Found, measure_all

FRESH = {"search": 3, "report": 10}
RACED = ("random", "tpe", "gp", "cmaes")
RESAMPLES = 10_000
STOPPERS = {
    "asha, grace 3": {"pruner": "asha", "grace": 3},
    "asha, grace 9": {"pruner": "asha", "grace": 9},
    "asha, grace 27": {"pruner": "asha", "grace": 27},
    "hyperband, grace 3": {"pruner": "hyperband", "grace": 3},
    "median": {"pruner": "median"},
}
Figures = Mapping[str, Sequence[Found]]


def cases() -> list[Case]:
    """Every way to search that is compared."""
    found = [Case(sampler, sampler, FRESH) for sampler in SAMPLERS]
    for sampler in RACED:
        found.append(Case(f"{sampler}, 10 seeds", sampler, 10))
        found.append(Case(f"{sampler}, racing", sampler, 10, {"pruner": "racing"}))
    for sampler in ("random", "tpe"):
        for label, stopping in STOPPERS.items():
            found.append(Case(f"{sampler}, {label}", sampler, 3, stopping))
    return found


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the ends of its bootstrapped interval."""
    resampled = np.random.default_rng(0).choice(np.asarray(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(resampled, axis=1), (0.025, 0.975))
    return statistics.median(values), float(low), float(high)


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def ratio(found: Sequence[Found], base: Sequence[Found], cost: Callable[[Found], int]) -> float:
    """What searches cost together, over what others did."""
    return sum(map(cost, found)) / sum(map(cost, base))


def regrets(found: Sequence[Found]) -> list[float]:
    return [each.regret for each in found]


def differences(found: Sequence[Found], base: Sequence[Found]) -> list[float]:
    """Of the regrets, repetition by repetition."""
    return [mine.regret - theirs.regret for mine, theirs in zip(found, base, strict=True)]


def show_samplers(found: Figures) -> None:
    """The regret of each sampler, and how often it is below random search's."""
    click.echo("\nregret of the selected configuration: 40 configurations, 3 seeds each")
    click.echo(
        f"{'sampler':10s} {'median':>7s} {'interval':>16s} {'difference':>17s} {'better':>8s}"
    )
    for sampler in SAMPLERS:
        middle, low, high = median_interval(regrets(found[sampler]))
        each = differences(found[sampler], found["random"])
        line = f"{sampler:10s} {middle:7.4f} [{low:.4f}, {high:.4f}]"
        if sampler != "random":
            mean, error = mean_error(each)
            better = sum(value < 0 for value in each)
            line += f" {mean:+8.4f} ± {error:.4f} {better:4d}/{len(each)}"
        click.echo(line)


def show_savings(title: str, found: Figures, pairs: Mapping[str, str]) -> None:
    """The regret with early stopping beside that without, and the share of the cost."""
    click.echo(f"\n{title}")
    header = f"{'search':24s} {'runs':>5s} {'steps':>6s} {'median':>7s} {'interval':>16s}"
    click.echo(f"{header} {'without':>8s} {'interval':>16s} {'difference':>17s}")
    for label, base in pairs.items():
        mine, theirs = found[label], found[base]
        runs = ratio(mine, theirs, lambda each: each.runs)
        steps = ratio(mine, theirs, lambda each: each.steps)
        middle, low, high = median_interval(regrets(mine))
        full, full_low, full_high = median_interval(regrets(theirs))
        mean, error = mean_error(differences(mine, theirs))
        click.echo(
            f"{label:24s} {runs:5.0%} {steps:6.0%} {middle:7.4f} [{low:.4f}, {high:.4f}] "
            f"{full:8.4f} [{full_low:.4f}, {full_high:.4f}] {mean:+8.4f} ± {error:.4f}"
        )


def show_bias(found: Figures) -> None:
    """How far the shown values are from the truth."""
    click.echo("\nvalue of the selected configuration less its truth, in standard errors (z)")
    click.echo(
        f"{'sampler':10s} {'3 searched seeds':>19s} {'z':>6s} {'10 fresh seeds':>19s} {'z':>6s}"
    )
    for sampler in SAMPLERS:
        line = f"{sampler:10s}"
        for values in search_figures.biases(found[sampler]):
            mean, error = mean_error(values)
            line += f" {mean:+10.4f} ± {error:.4f} {mean / error:+6.1f}"
        click.echo(line)


@click.command()
@click.option("--repetitions", default=20, show_default=True, help="Sweeps of each kind.")
@click.option("--first", default=0, show_default=True, help="Number of the first repetition.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="For the figures.")
@click.option("--workers", default=machine.cores(), show_default="cores", help="Processes.")
def main(repetitions: int, first: int, out: Path | None, workers: int) -> None:
    """Prints what searches find and cost, and draws it."""
    click.echo(f"{machine.description()}; repetitions {first} to {first + repetitions - 1}")
    found = measure_all(cases(), range(first, first + repetitions), workers)
    raced = {f"{sampler}, racing": f"{sampler}, 10 seeds" for sampler in RACED}
    stopped = {f"{s}, {label}": s for s in ("random", "tpe") for label in STOPPERS}
    show_samplers(found)
    show_savings("racing: 10 seeds at most, beside 10 for all", found, raced)
    show_savings("stopped by steps: 3 seeds, 81 steps at most", found, stopped)
    show_bias(found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in (
            ("regret", search_figures.regret(found)),
            ("bias", search_figures.bias(found)),
            ("savings", search_figures.savings(found, {**raced, **stopped})),
        ):
            figure.save(out / f"search-{name}.png", ppi=200)


if __name__ == "__main__":
    main()
