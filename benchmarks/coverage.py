"""How often the intervals hold the truth, and how often the tests see a difference that is none.

Each figure is a share of simulated sweeps whose truth is known. With 2,000 of them the standard
error of a coverage of 95 % is 0.49 points. Skewed values are exponential. Tasks apart have
centres, or differences of centres, spread evenly over three standard deviations.
"""

from collections.abc import Callable, Mapping, Sequence

import click
import joblib
import numpy as np
from scipy import special

from raysweep.results.stats import intervals as bootstrap
from raysweep.results.stats import significance, summary
from raysweep.results.stats.summary import Interval

LEVEL, SPREAD, RIVALS = 0.05, 3.0, 4
MEAN_SEEDS = (5, 6, 8, 10, 20)
IQM_SIZES = ((1, 10), (2, 5), (5, 3), (4, 4), (3, 5), (5, 5), (10, 3), (10, 5))
PAIR_SIZES = ((1, 10), (1, 20), (2, 5), (4, 3), (5, 3), (3, 5), (5, 5), (10, 3), (10, 5), (10, 10))
SHIFTS = (0.0, 1.0, 2.0)
TEST_SEEDS = (3, 5, 10)
KINDS = (("welch", True), ("welch", False), ("mann-whitney", True), ("mann-whitney", False))

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
DRAWS: Mapping[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "skewed": lambda generator, shape: generator.exponential(size=shape),
}
POINTS = (np.arange(200_000) + 0.5) / 200_000
QUANTILES = {"normal": special.ndtri(POINTS), "skewed": -np.log1p(-POINTS)}


def holds(interval: Interval | None, truth: float) -> float:
    """1 if the interval holds it, 0 if not, NaN if there is none."""
    return float("nan") if interval is None else interval.low <= truth <= interval.high


def centres(tasks: int, spread: float) -> np.ndarray:
    """Evenly spread around 0, in standard deviations of a run."""
    return np.linspace(-spread / 2, spread / 2, tasks) if tasks > 1 else np.zeros(1)


def mean_coverage(name: str, seeds: int, sweeps: int) -> list[float]:
    """Of the percentile bootstrap, Student's interval and the studentised bootstrap."""
    generator = np.random.default_rng(seeds)
    truth = float(QUANTILES[name].mean().round(4))
    found = []
    for _ in range(sweeps):
        values = DRAWS[name](generator, (seeds,))
        resampled = values[generator.integers(seeds, size=(2000, seeds))].mean(1)
        ends = np.quantile(resampled, [0.025, 0.975])
        intervals = (
            Interval(*ends),
            bootstrap.student_interval(values.tolist()),
            bootstrap.mean_interval(values.tolist()),
        )
        found.append([holds(each, truth) for each in intervals])
    return np.mean(found, 0).tolist()


def iqm_coverage(name: str, spread: float, size: tuple[int, int], sweeps: int) -> list[float]:
    """Of rliable's stratified bootstrap and of the interval for the interquartile mean."""
    generator = np.random.default_rng(size)
    middles = centres(size[0], spread)
    truth = summary.iqm(np.sort(np.concatenate([QUANTILES[name] + each for each in middles])))
    found = []
    for _ in range(sweeps):
        values = DRAWS[name](generator, size) + middles[:, None]
        picks = generator.integers(size[1], size=(2000, *size))
        resampled = np.sort(np.take_along_axis(values[None], picks, axis=2).reshape(2000, -1))
        cut = int(summary.TRIMMED * values.size)
        plain = np.quantile(resampled[:, cut : values.size - cut].mean(1), [0.025, 0.975])
        intervals = Interval(*plain), bootstrap.iqm_interval(values.tolist())
        found.append([holds(each, truth) for each in intervals])
    return np.mean(found, 0).tolist()


def improvement_coverage(
    name: str, shift: float, spread: float, size: tuple[int, int], sweeps: int
) -> list[float]:
    """Of the interval for the probability of improvement, and the share without one."""
    generator = np.random.default_rng(size)
    shifts = shift + centres(size[0], spread)
    truth = float(special.ndtr(shifts / np.sqrt(2)).mean())
    if name == "skewed":
        truth = float((1 - np.exp(-shifts) / 2).mean())
    found = []
    for _ in range(sweeps):
        first = DRAWS[name](generator, size) + shifts[:, None]
        second = DRAWS[name](generator, size)
        _, interval = bootstrap.probability_of_improvement(first, second, lower_is_better=False)
        found.append(holds(interval, truth))
    return [float(np.nanmean(found)), float(np.isnan(found).mean())]


def false_positives(kind: tuple[str, bool], seeds: int, sweeps: int) -> list[float]:
    """Of one comparison; of any of four with one fixed rival, by Holm; and with the best."""
    test, paired = kind
    generator = np.random.default_rng(seeds)
    found = []
    for _ in range(sweeps):
        common = generator.normal(size=seeds)  # what a seed does to every estimator alike
        rows = generator.normal(size=(RIVALS + 1, seeds)) + (common if paired else 0)
        fixed = p_values(rows, 0, test, paired)
        best = p_values(rows, int(rows.mean(1).argmax()), test, paired)
        found.append([fixed[0], min(significance.holm(fixed)), min(significance.holm(best))])
    return (np.array(found) < LEVEL).mean(0).tolist()


def p_values(rows: np.ndarray, rival: int, test: str, paired: bool) -> list[float]:
    """Every other row against one."""
    values = [
        dict(enumerate(row, 0 if paired else 100 * place))
        for place, row in enumerate(rows.tolist())
    ]
    found = [
        significance.compare(values[rival], row, test)
        for place, row in enumerate(values)
        if place != rival
    ]
    return [each.p_value for each in found if each is not None]


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints one as Markdown."""
    click.echo(f"\n{title}\n\n| {' | '.join(head)} |")
    click.echo("| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        click.echo(f"| {' | '.join(row)} |")


def percent(share: float) -> str:
    """With one digit, as what is rounded to fewer cannot be told from 95."""
    return f"{100 * share:.1f}"


def means(parallel: joblib.Parallel, sweeps: int) -> None:
    """Prints the coverage of the intervals of a mean."""
    cells = [(name, seeds) for seeds in MEAN_SEEDS for name in DRAWS]
    found = parallel(joblib.delayed(mean_coverage)(*cell, sweeps) for cell in cells)
    rows = [
        [str(seeds), *map(percent, found[2 * place]), *map(percent, found[2 * place + 1])]
        for place, seeds in enumerate(MEAN_SEEDS)
    ]
    names = [f"{name}: {how}" for name in DRAWS for how in ("percentile", "Student", "bootstrap-t")]
    table("Mean of one cell", ["seeds", *names], rows)


def interquartile_means(parallel: joblib.Parallel, sweeps: int) -> None:
    """Prints the coverage of the intervals of an interquartile mean."""
    kinds = [("normal", 0.0), ("normal", SPREAD), ("skewed", 0.0)]
    cells = [(*kind, size) for size in IQM_SIZES for kind in kinds]
    found = parallel(joblib.delayed(iqm_coverage)(*cell, sweeps) for cell in cells)
    rows = []
    for place, (tasks, seeds) in enumerate(IQM_SIZES):
        both = [percent(share) for each in found[3 * place : 3 * place + 3] for share in each]
        if tasks == 1:
            both[2:4] = ["", ""]
        rows.append([f"{tasks} × {seeds}", *both])
    names = [
        f"{kind}: {how}"
        for kind in ("normal", "normal, tasks apart", "skewed")
        for how in ("plain", "raysweep")
    ]
    table("Interquartile mean over tasks", ["tasks × seeds", *names], rows)


def improvements(parallel: joblib.Parallel, sweeps: int) -> None:
    """Prints the coverage of the intervals of a probability of improvement."""
    kinds = [
        *(("normal", shift, 0.0) for shift in SHIFTS),
        ("normal", 1.0, SPREAD),
        ("skewed", float(np.log(2)), 0.0),
    ]
    cells = [(*kind, size) for size in PAIR_SIZES for kind in kinds]
    found = parallel(joblib.delayed(improvement_coverage)(*cell, sweeps) for cell in cells)
    rows = []
    for place, (tasks, seeds) in enumerate(PAIR_SIZES):
        own = found[len(kinds) * place : len(kinds) * (place + 1)]
        without = percent(own[2][1])
        shares = [percent(each[0]) for each in own]
        if tasks == 1:
            shares[3] = ""
        rows.append([f"{tasks} × {seeds}", *shares, without])
    names = [f"normal, {special.ndtr(shift / np.sqrt(2)):.2f}" for shift in SHIFTS]
    names += ["normal, tasks apart", "skewed, 0.75", "without an interval at 0.92"]
    table("Probability of improvement", ["tasks × seeds", *names], rows)


def tests(parallel: joblib.Parallel, sweeps: int) -> None:
    """Prints how often the tests see a difference where there is none."""
    cells = [(kind, seeds) for kind in KINDS for seeds in TEST_SEEDS]
    found = parallel(joblib.delayed(false_positives)(*cell, sweeps) for cell in cells)
    names = {
        ("welch", True): "paired t",
        ("welch", False): "Welch's t",
        ("mann-whitney", True): "Wilcoxon signed-rank",
        ("mann-whitney", False): "Mann-Whitney",
    }
    rows = [
        [names[kind], str(seeds), *map(percent, shares)]
        for (kind, seeds), shares in zip(cells, found, strict=True)
    ]
    head = ["test", "seeds", "one comparison", "any of 4, Holm", "any of 4 with the best, Holm"]
    table("Differences seen at .05 where there is none, in %", head, rows)


PARTS = {"mean": means, "iqm": interquartile_means, "improvement": improvements, "tests": tests}


@click.command()
@click.option("--sweeps", default=2000, show_default=True, help="Simulated sweeps a figure.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="All if none.")
def main(sweeps: int, jobs: int, parts: tuple[str, ...]) -> None:
    """Prints the coverage of all intervals at 95 %, and the size of all tests at .05."""
    with joblib.Parallel(n_jobs=jobs) as parallel:
        for part in parts or PARTS:
            PARTS[part](parallel, sweeps)


if __name__ == "__main__":
    main()
