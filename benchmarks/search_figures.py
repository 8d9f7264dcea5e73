"""The figures of `benchmarks.search`."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.searches import Found
from raysweep.figures.style import colour, figure_style, finish

LINES = {
    "random": "#777777",
    "qmc": colour(3),
    "tpe": colour(0),
    "gp": colour(1),
    "cmaes": colour(2),
}
NAMES = {"random": "random", "qmc": "qmc", "tpe": "TPE", "gp": "GP", "cmaes": "CMA-ES"}
Figures = Mapping[str, Sequence[Found]]


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in raysweep's style; the layout is settled there too."""

    @functools.wraps(draw)
    def styled(*given: object) -> Figure:
        with figure_style():
            figure = draw(*given)
            figure.canvas.draw()
            return figure

    return styled


@_styled
def regret(found: Figures) -> Figure:
    """Median regret over the configurations tried, with quartiles for two samplers."""
    figure = Figure(figsize=(5.8, 3.6), layout="constrained")
    axes = figure.subplots()
    ends = []
    for name, line in LINES.items():
        paths = np.array([each.path for each in found[name]])
        low, middle, high = np.nanquantile(paths, (0.25, 0.5, 0.75), axis=0)
        tried = np.arange(1, len(middle) + 1)
        dashed = (0, (4, 1.6)) if name in ("random", "qmc") else "-"
        axes.plot(tried, middle, color=line, linestyle=dashed, linewidth=1.7)
        if name in ("random", "gp"):
            axes.fill_between(tried, low, high, color=line, alpha=0.15, linewidth=0)
        ends.append((float(middle[-1]), name))
    axes.set_yscale("log")
    axes.set_xlabel("configurations tried, 3 seeds each")
    axes.set_ylabel("true regret of the selected configuration")
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    axes.set_yticks(ticks, [f"{each:g}" for each in ticks], minor=False)
    axes.minorticks_off()
    finish(axes, f"Median of {len(found['random'])} repetitions (bands: quartiles)", 5.8)
    _name_ends(axes, ends)
    return figure


def _name_ends(axes: Axes, ends: Sequence[tuple[float, str]]) -> None:
    """Each line's name to its right, moved apart where two would overlap."""
    right = axes.get_xlim()[1]
    last = 0.0
    for value, name in sorted(ends):
        place = max(value, last * 1.16)
        axes.annotate(
            NAMES[name], (right, place), color=LINES[name], va="center", annotation_clip=False
        )
        last = place


def biases(found: Sequence[Found]) -> tuple[list[float], list[float]]:
    """Value less truth, for the searched seeds and for the fresh ones."""
    fresh = [each.reported - each.regret for each in found if each.reported is not None]
    return [each.searched - each.regret for each in found], fresh


@_styled
def bias(found: Figures) -> Figure:
    """How far the shown value is from the truth, for each sampler."""
    figure = Figure(figsize=(5.8, 3.4), layout="constrained")
    axes = figure.subplots()
    random = np.random.default_rng(0)
    kinds = (("seeds of the search", colour(1), "s"), ("fresh seeds", colour(0), "o"))
    for place, name in enumerate(LINES):
        for side, values in enumerate(biases(found[name])):
            label, line, marker = kinds[side]
            middle = place + (side - 0.5) * 0.38
            spread = middle + random.uniform(-0.1, 0.1, len(values))
            axes.plot(spread, values, ".", color=line, alpha=0.3, markersize=4, markeredgewidth=0)
            error = 2 * np.std(values, ddof=1) / np.sqrt(len(values))
            axes.errorbar(
                middle,
                np.mean(values),
                error,
                color="black",
                marker=marker,
                markerfacecolor=line,
                markersize=6,
                capsize=3,
                linewidth=1.2,
                zorder=3,
                label=label if place == 0 else None,
            )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(LINES)), [NAMES[name] for name in LINES])
    axes.set_ylabel("value shown − truth")
    finish(axes, "What is shown of the selected configuration (mean ± 2 standard errors)", 5.8)
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


@_styled
def savings(found: Figures, pairs: Mapping[str, str]) -> Figure:
    """The change of the regret against the share of the steps that early stopping leaves."""
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    labels, shares = [], []
    for place, (label, base) in enumerate(pairs.items()):
        mine, theirs = found[label], found[base]
        change = np.array([a.regret - b.regret for a, b in zip(mine, theirs, strict=True)])
        share = sum(each.steps for each in mine) / sum(each.steps for each in theirs)
        error = 2 * np.std(change, ddof=1) / np.sqrt(len(change))
        line = LINES[label.partition(",")[0]]
        axes.errorbar(
            np.mean(change), place, xerr=error, color=line, marker="o", capsize=3, linewidth=1.4
        )
        sampler, _, how = label.partition(", ")
        labels.append(f"{NAMES[sampler]}, {how}")
        shares.append(f"{share:.0%}")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("regret with early stopping − without (mean ± 2 standard errors)")
    finish(axes, "Early stopping: change of the true regret, and steps used", 7.0)
    axes.grid(visible=False, axis="y")
    twin = axes.secondary_yaxis("right")
    twin.set_yticks(range(len(labels)), shares)
    twin.tick_params(length=0)
    twin.spines["right"].set_visible(False)
    twin.set_ylabel("steps, of those without")
    return figure
