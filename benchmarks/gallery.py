"""Every kind of figure, at every size, light and dark, of sweeps that are hard to draw.

`python -m benchmarks.gallery --out DIR` trains small sweeps of a function in this process and
writes PNG files and an `index.html` that shows them side by side.
"""

import html
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

import raysweep
from raysweep.figures.kinds import KINDS
from raysweep.figures.layout import compose, describe
from raysweep.figures.rendering import rendered
from raysweep.figures.size import SIZES, look

LONG = "a method whose label says with many words what it is, and more than a line of them"
RANGES: Mapping[str, Any] = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "width": [8, 16, 32],
    "kind": ["a", "b"],
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "paths": {"x": "loss", "y": "accuracy"},
    "lines": {"over": "lr"},
    "heatmap": {"over": "lr"},
}
MORE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "two settings": ("heatmap", {"over": ("lr", "width")}),
    "all curves": ("curves", {"all": True}),
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
        run.report(loss=loss, accuracy=1 - level / 10 + noise[step] / 10)


def sweeps() -> Iterator[dict[str, Any]]:
    """Sweep files: one row and one seed, a search with early stopping, twenty rows, many seeds."""
    two: dict[str, dict[str, Any]] = {
        "easy": {"task": "walk"},
        "hard": {"task": "walk", "better": -1.0},
    }
    search = {"sampler": "random", "configurations": 12}
    base = {"select": {"metric": "loss", "mode": "min"}, "report_every": 3}
    yield {**base, "name": "one", "tasks": {"easy": two["easy"]}, "methods": {"A": RANGES}}
    yield {
        **base,
        "name": "search",
        "tasks": two,
        "methods": {"plain": RANGES, LONG: {**RANGES, "better": 0.1}},
        "seeds": 5,
        "search": search,
        "early_stopping": {"pruner": "asha", "grace": 9, "reduction": 3},
    }
    rows = {f"method {index}": {**RANGES, "better": index / 40} for index in range(20)}
    yield {**base, "name": "twenty", "tasks": two, "methods": rows, "seeds": 3, "search": search}
    some = {"plain": {"lr": [0.01, 0.03]}, "wide": {"lr": [0.01, 0.03], "width": 32}}
    yield {**base, "name": "seeds", "tasks": two, "methods": some, "seeds": 40}


def pictures(results: Any) -> Iterator[tuple[str, bytes, float]]:
    """Name, PNG and seconds of each figure of a sweep that can be drawn."""
    figures: dict[str, tuple[str, Mapping[str, Any]]] = {
        kind: (kind, OPTIONS.get(kind, {})) for kind in KINDS
    }
    for name, (kind, options) in {**figures, **MORE}.items():
        try:
            prepared = KINDS[kind].prepare(results, KINDS[kind].request(**options))
        except raysweep.SpecError as error:
            click.echo(f"{results.sweep}, {name}: {error}")
            continue
        drawing = KINDS[kind].draw(prepared)
        for size_name, size in SIZES.items():
            for dark in (False, True):
                start = time.perf_counter()
                chart = compose(drawing, size)
                if dark:
                    chart = chart.configure(**look(size, dark=True))
                png = rendered(describe(chart), ".png", title=name, dpi=100)
                label = f"{results.sweep}-{name}-{size_name}{'-dark' if dark else ''}"
                yield label.replace(" ", "_"), png, time.perf_counter() - start


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(out: Path) -> None:
    """Write the gallery."""
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    with tempfile.TemporaryDirectory() as store:
        for spec in sweeps():
            results = raysweep.run(spec, tasks=[walk], store=store, inline=True, quiet=True)
            parts.append(f"<h2>{html.escape(results.sweep)}</h2>")
            for name, png, seconds in pictures(results):
                (out / f"{name}.png").write_bytes(png)
                parts.append(
                    f'<figure><img src="{name}.png" alt="{name}"><figcaption>{name}, '
                    f"{seconds:.1f} s</figcaption></figure>"
                )
    style = "figure { display: inline-block; vertical-align: top; margin: 8px }"
    page = f"<!DOCTYPE html><title>Gallery</title><style>{style}</style>{''.join(parts)}"
    (out / "index.html").write_text(page, encoding="utf-8")
    click.echo(f"{len(parts)} parts: {out / 'index.html'}")


if __name__ == "__main__":
    main()
