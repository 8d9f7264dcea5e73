"""raysweep beside plain Ray Tune with one trial per run: whole commands, start-up included."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.sweeps import SWEEPS


def time_raysweep(name: str, folder: Path) -> dict[str, Any]:
    """Wall seconds of `raysweep run`, and what it computed."""
    spec = folder / "sweep.json"
    spec.write_text(json.dumps(SWEEPS[name].file(name)))
    command = ["-m", "raysweep.cli"]
    seconds, _ = timed([*command, "run", str(spec), "--store", str(folder)])
    query = 'select count(*) as runs, avg("metric.train_loss") as mean_loss from runs'
    _, out = timed([*command, "sql", name, query, "--store", str(folder), "--format", "json"])
    return {"seconds": seconds, **json.loads(out.splitlines()[-1])}


def time_plain_tune(name: str, runs: int | None) -> dict[str, Any]:
    """Wall seconds of the same by plain Ray Tune."""
    limit = [] if runs is None else [str(runs)]
    seconds, out = timed(["-m", "benchmarks.plain_tune", name, *limit])
    return {"seconds": seconds, **json.loads(out.splitlines()[-1])}


def timed(arguments: list[str]) -> tuple[float, str]:
    """Wall seconds of a Python process, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return time.perf_counter() - began, done.stdout


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SWEEPS)))
@click.option("--repeats", default=1, show_default=True, help="Alternating pairs per sweep.")
@click.option(
    "--baseline-runs",
    type=int,
    help="Time plain Tune on its first runs only, and say what all would take at that speed.",
)
def main(names: tuple[str, ...], repeats: int, baseline_runs: int | None) -> None:
    """Times the sweeps named, or all, by both sides in turn."""
    click.echo(f"{len(os.sched_getaffinity(0))} CPU cores")
    for name in names or SWEEPS:
        sweep = SWEEPS[name]
        work = len(sweep.runs) * sweep.steps
        click.echo(f"\n{name}: {len(sweep.runs)} runs of {sweep.steps} steps")
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                ours = time_raysweep(name, Path(folder))
            theirs = time_plain_tune(name, baseline_runs)
            if ours["runs"] != len(sweep.runs):
                raise click.ClickException(f"expected {len(sweep.runs)} runs, got {ours['runs']}")
            share = theirs["runs"] / len(sweep.runs)
            estimate = theirs["seconds"] - theirs["fit_s"] + theirs["fit_s"] / share
            note = "" if share == 1 else f" (extrapolated from {theirs['runs']} runs)"
            for title, seconds, loss, extra in (
                ("raysweep  ", ours["seconds"], ours["mean_loss"], ""),
                ("plain Tune", estimate, theirs["mean_loss"], note),
            ):
                click.echo(
                    f"  {title} {seconds:7.1f} s  {work / seconds:8.0f} replica-steps/s  "
                    f"mean loss {loss:.4f}{extra}"
                )
            click.echo(f"  ratio {estimate / ours['seconds']:.2f}")


if __name__ == "__main__":
    main()
