"""Every kind of figure, at every size, light and dark, of sweeps that are hard to draw.

`python -m benchmarks.gallery --out DIR` trains small sweeps of a function in this process, and
writes PNG files and an `index.html` that shows them side by side. `--store DIR` keeps the sweeps,
for another drawing of the same ones.
"""

import html
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

import raysweep
from raysweep.code.objects import added
from raysweep.figures.kinds import KINDS
from raysweep.figures.layout import compose, describe
from raysweep.figures.rendering import rendered
from raysweep.figures.size import SIZES, Size, look
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

LONG = "a method whose label says with many words what it is, and more than a line of them"
EASY: Mapping[str, Any] = {"task": "walk"}
TASKS: Mapping[str, Any] = {
    "easy": EASY,
    "hard, with a label that is longer than its panel is wide": {"task": "walk", "better": -1.0},
}
RANGES: Mapping[str, Any] = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "width": [8, 16, 32],
    "kind": ["a", "b"],
}
GRID: Mapping[str, Any] = {"lr": [0.003, 0.01, 0.03, 0.1], "width": [8, 16]}
FIGURES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{kind: (kind, {}) for kind in KINDS},
    "paths": ("paths", {"x": "loss", "y": "accuracy"}),
    "lines": ("lines", {"over": "lr"}),
    "heatmap": ("heatmap", {"over": "lr"}),
    "two settings": ("heatmap", {"over": ("lr", "width")}),
    "all curves": ("curves", {"all": True}),
    "two metrics": ("curves", {"metric": ("loss", "accuracy"), "log": True}),
}
LOOKS: Mapping[str, tuple[Size, bool]] = {
    **{name: (size, False) for name, size in SIZES.items()},
    "dark": (SIZES["screen"], True),
}
SHOWN: Mapping[str, Sequence[str]] = {  # looks of the sweeps that do not have all
    "one": ("screen", "column"),
    "twenty": ("page",),  # forty panels of some kinds take long
    "many-seeds": ("screen", "column"),
}


@raysweep.task(metrics={"loss": "min", "accuracy": "max"})
def walk(
    run: Any,
    *,
    lr: float = 0.01,
    width: int = 16,
    kind: str = "a",
    better: float = 0.0,
    steps: int = 60,
) -> None:
    """A loss that falls towards a level which the settings decide, with noise."""
    level = 1 + (np.log10(lr) + 2) ** 2 / 4 + 4 / width + (kind == "b") * 0.2 - better
    noise = np.random.normal(0, 0.05, steps + 1)
    for step in run.steps(steps):
        loss = level * (1 + 3 * np.exp(-step / 8)) + noise[step] + noise[-1]
        loss = np.nan if lr > 0.07 and step > 20 else loss
        run.report(loss=loss, accuracy=1 - level / 10 + noise[step] / 10)


def sweeps(store: str) -> Iterator[raysweep.Results]:
    """Train the sweeps that are drawn."""

    def trained(name: str, rows: Mapping[str, Any], **more: Any) -> raysweep.Results:
        return raysweep.run(
            spec_of(name, rows, **more), tasks=[walk], store=store, inline=True, quiet=True
        )

    random = {"sampler": "random", "configurations": 12}
    yield trained("one", {"A": RANGES}, tasks={"easy": EASY}, seeds=1, search=random)
    asha = {"pruner": "asha", "grace": 9, "reduction": 3}
    rows = {"plain": RANGES, LONG: {**RANGES, "better": 0.1}}
    yield trained("search", rows, seeds=5, search=random, early_stopping=asha)
    twenty = {f"method {index}": {**RANGES, "better": index / 40} for index in range(20)}
    few = {"sampler": "random", "configurations": 4}
    yield trained("twenty", twenty, tasks={"easy": EASY}, seeds=3, search=few)
    two = {"plain": {"lr": [0.01, 0.03]}, "wide": {"lr": [0.01, 0.03], "width": 32}}
    yield trained("many-seeds", two, seeds=40)
    yield unfinished(store, trained)


def unfinished(store: str, trained: Callable[..., raysweep.Results]) -> raysweep.Results:
    """Return a sweep of which some cells are final, some lack seeds, and some have not begun."""
    rows = {"both": GRID, "begun": {**GRID, "better": 0.1}, "none": {**GRID, "better": 0.2}}
    trained("unfinished", {name: rows[name] for name in ("both", "begun")}, seeds=3)
    trained("unfinished", {"both": GRID}, tasks={"easy": EASY}, seeds=6)
    with added([walk]):
        SweepStore(store, "unfinished").prepare(read_spec(spec_of("unfinished", rows, seeds=6)))
    return raysweep.Results(store, "unfinished")


def spec_of(name: str, rows: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the content of a sweep file."""
    select = {"metric": "loss", "mode": "min"}
    return {"name": name, "tasks": TASKS, "methods": dict(rows), "select": select, **more}


def pictures(results: raysweep.Results) -> Iterator[tuple[str, bytes, float]]:
    """Name, PNG and seconds of each figure of a sweep that can be drawn."""
    for name, (kind, options) in FIGURES.items():
        try:
            prepared = KINDS[kind].prepare(results, KINDS[kind].request(**options))
        except raysweep.SpecError as error:
            click.echo(f"{results.sweep}, {name}: {error}")
            continue
        drawing = KINDS[kind].draw(prepared)
        for look_name in SHOWN.get(results.sweep, tuple(LOOKS)):
            size, dark = LOOKS[look_name]
            start = time.perf_counter()
            chart = compose(drawing, size)
            if dark:
                chart = chart.configure(**look(size, dark=True))
            png = rendered(describe(chart), ".png", title=name, dpi=100)
            label = f"{results.sweep}-{name}-{look_name}"
            yield label.replace(" ", "_"), png, time.perf_counter() - start


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--store", type=click.Path(file_okay=False), help="Folder that keeps the sweeps.")
def main(out: Path, store: str | None) -> None:
    """Write the gallery."""
    out.mkdir(parents=True, exist_ok=True)
    parts, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for results in sweeps(store or folder):
            parts.append(f"<h2>{html.escape(results.sweep)}</h2>")
            for name, png, seconds in pictures(results):
                (out / f"{name}.png").write_bytes(png)
                parts.append(
                    f'<figure><img src="{name}.png" alt="{name}"><figcaption>{name}, '
                    f"{seconds:.1f} s</figcaption></figure>"
                )
            click.echo(f"{results.sweep}: {time.perf_counter() - start:.0f} s")
    style = "figure { display: inline-block; vertical-align: top; margin: 8px }"
    page = f"<!DOCTYPE html><title>Gallery</title><style>{style}</style>{''.join(parts)}"
    (out / "index.html").write_text(page, encoding="utf-8")
    click.echo(f"{len(list(out.glob('*.png')))} figures: {out / 'index.html'}")


if __name__ == "__main__":
    main()
