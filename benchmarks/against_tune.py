"""raysweep beside plain Ray Tune with one trial per run: whole commands, start-up included.

Both sides run in turn. Their losses must agree within sampling error, or the times mean nothing.
"""

import dataclasses
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks import machine
from benchmarks.sweeps import SWEEPS, Timed

FAR = 4.5  # standard errors between the mean losses that chance does not explain


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one side took, and what it computed.

    Args:
        seconds: Of the whole command.
        losses: Final training losses of all configurations, by seed.
        extrapolated_from: Runs that were timed, if not all.
    """

    seconds: float
    losses: dict[int, list[float]]
    extrapolated_from: int | None = None

    @property
    def runs(self) -> int:
        """How many ended."""
        return sum(map(len, self.losses.values()))

    @property
    def mean_loss(self) -> tuple[float, float]:
        """The mean over all runs, and its standard error: runs of one seed are not independent."""
        means = [statistics.fmean(each) for each in self.losses.values()]
        error = statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else math.inf
        return statistics.fmean(means), error


def time_raysweep(name: str) -> Outcome:
    """`raysweep run`, with default settings."""
    command = ["-m", "raysweep.cli.main"]
    query = 'select seed, "metric.train_loss" as loss from runs'
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "sweep.json"
        spec.write_text(json.dumps(SWEEPS[name].file(name)))
        seconds, _ = timed([*command, "run", str(spec), "--store", folder])
        _, out = timed([*command, "sql", name, query, "--store", folder, "--format", "json"])
    return Outcome(seconds, by_seed(map(json.loads, out.splitlines())))


def time_plain_tune(name: str, runs: int | None) -> Outcome:
    """The same by plain Ray Tune; at its speed on the first `runs` only, if that is asked for."""
    limit = [] if runs is None else [str(runs)]
    seconds, out = timed(["-m", "benchmarks.plain_tune", name, *limit])
    told = json.loads(out.splitlines()[-1])
    share = len(told["runs"]) / len(SWEEPS[name].runs)
    estimate = seconds - told["fit_s"] + told["fit_s"] / share
    return Outcome(estimate, by_seed(told["runs"]), None if share == 1 else len(told["runs"]))


def by_seed(runs: Iterable[Mapping[str, Any]]) -> dict[int, list[float]]:
    """The losses of each seed."""
    losses: dict[int, list[float]] = {}
    for run in runs:
        losses.setdefault(run["seed"], []).append(run["loss"])
    return losses


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


def compare(name: str, baseline_runs: int | None) -> None:
    """Times both sides once, and prints what came out."""
    sweep = SWEEPS[name]
    ours, theirs = time_raysweep(name), time_plain_tune(name, baseline_runs)
    if ours.runs != len(sweep.runs):
        raise click.ClickException(f"expected {len(sweep.runs)} runs, got {ours.runs}")
    show("raysweep", ours, sweep)
    show("plain Tune", theirs, sweep)
    click.echo(f"  ratio {theirs.seconds / ours.seconds:.2f}")
    if theirs.extrapolated_from is not None:
        return
    (our_mean, our_error), (their_mean, their_error) = ours.mean_loss, theirs.mean_loss
    apart = (our_mean - their_mean) / math.hypot(our_error, their_error)
    if not abs(apart) < FAR:
        raise click.ClickException(f"the mean losses are {apart:.1f} standard errors apart")


def show(title: str, outcome: Outcome, sweep: Timed) -> None:
    """One line for one side."""
    work = len(sweep.runs) * sweep.steps
    mean, error = outcome.mean_loss
    timed_runs = outcome.extrapolated_from
    note = "" if timed_runs is None else f"  (extrapolated from {timed_runs} runs)"
    click.echo(
        f"  {title:10s} {outcome.seconds:7.1f} s  {work / outcome.seconds:8.0f} replica-steps/s  "
        f"mean loss {mean:.5f} ± {error:.5f}{note}"
    )


@click.command(epilog="Where the time goes: python -m benchmarks.breakdown NAME")
@click.argument("names", nargs=-1, type=click.Choice(list(SWEEPS)))
@click.option("--repeats", default=1, show_default=True, help="Alternating pairs per sweep.")
@click.option(
    "--baseline-runs",
    type=int,
    help="Time plain Tune on its first runs only, and say what all would take at that speed.",
)
@click.option(
    "--patience",
    default=0,
    show_default=True,
    help="Seconds to wait, before every pair, for other programs to pause.",
)
def main(names: tuple[str, ...], repeats: int, baseline_runs: int | None, patience: int) -> None:
    """Times the sweeps named, or all, by raysweep and by plain Ray Tune in turn."""
    click.echo(machine.description())
    for name in names or SWEEPS:
        sweep = SWEEPS[name]
        click.echo(f"\n{name}: {len(sweep.runs)} runs of {sweep.steps} steps")
        for _ in range(repeats):
            if not machine.wait_until_quiet(patience):
                click.echo("  other programs are using the processors: take more than one pair")
            compare(name, baseline_runs)


if __name__ == "__main__":
    main()
