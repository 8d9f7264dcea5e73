"""raysweep beside what a user would run instead: whole commands, start-up included.

All sides run in turn. Their losses must agree within sampling error, or the times mean nothing.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks import limits, machine
from benchmarks.performance_page import lines_of, write_page
from benchmarks.sides import SIDES, Outcome, run_side
from benchmarks.workloads import WORKLOADS, Workload

FAR = 4.5  # standard errors between the mean losses that chance does not explain
QUICK = ("digits-60", "mnist-8x4", "polynomial-400", "layers", "function", "nothing")


def measure(name: str, sides: tuple[str, ...], *, quick: bool, limit: int) -> dict[str, Any]:
    """Return the figures of one workload by every side, and the limit measured beside them.

    Raises:
        ClickException: If the sides did not train the same, or MNIST is missing.
    """
    workload = WORKLOADS[name].quickly() if quick else WORKLOADS[name]
    if workload.task.get("dataset") == "mnist" and not os.environ.get("RAYSWEEP_DATA"):
        raise click.ClickException(
            f"{name} needs the folder of MNIST in RAYSWEEP_DATA, which is not set"
        )
    outcomes = [run_side(side, name, quick=quick, limit=limit) for side in sides]
    _check_losses(name, outcomes, len(workload.runs))
    limit_of_steps = steps_at_the_limit(workload)
    return {
        "workload": name,
        "title": workload.title,
        "runs": len(workload.runs),
        "steps": workload.steps,
        "quick": quick,
        "limit_steps_per_s": limit_of_steps,
        "sides": [_figures(each, workload, limit_of_steps) for each in outcomes],
    }


def steps_at_the_limit(workload: Workload) -> float | None:
    """Return steps of single runs per second if only products, or moves of memory, took time."""
    if workload.layers:
        return limits.products(workload.products) / workload.multiplications
    return limits.moves() / workload.moved if workload.moved else None


def _figures(outcome: Outcome, workload: Workload, limit: float | None) -> dict[str, Any]:
    steps = len(workload.runs) * workload.steps
    trained = outcome.training_s
    workers = 1 if outcome.gpu_busy is not None else machine.cores()
    pace = steps / trained * workers if trained else None
    mean, error = outcome.mean_loss
    return {
        **{key: value for key, value in dataclasses.asdict(outcome).items() if key != "losses"},
        "steps_per_s": steps / outcome.seconds,
        "runs_per_minute": 60 * len(workload.runs) / outcome.seconds,
        "training_share_of_limit": pace / limit if pace and limit else None,
        "share_of_limit": steps / outcome.seconds / limit if limit else None,
        "mean_loss": mean,
        "mean_loss_error": error if math.isfinite(error) else None,
    }


def _check_losses(name: str, outcomes: list[Outcome], runs: int) -> None:
    whole = [each for each in outcomes if each.timed == runs]
    for one in whole[1:]:
        (mean, error), (other, other_error) = whole[0].mean_loss, one.mean_loss
        apart = mean - other
        if not abs(apart) <= FAR * math.hypot(error, other_error):
            raise click.ClickException(
                f"{name}: the mean losses of {whole[0].side} and {one.side} are {mean:.5f} ± "
                f"{error:.5f} and {other:.5f} ± {other_error:.5f}: they do not train the same"
            )


def compared(found: Mapping[str, Any], earlier: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each workload and side of two measurements: ratios to raysweep's time."""
    before = {(each["workload"], each["quick"]): _ratios(each) for each in earlier["workloads"]}
    for each in found["workloads"]:
        now, then = _ratios(each), before.get((each["workload"], each["quick"]))
        if then is None:
            yield f"{each['workload']}: not measured before"
            continue
        for side in now.keys() & then.keys():
            change = now[side] / then[side]
            yield (
                f"{each['workload']}, of {side}: {then[side]:.2f}× before, {now[side]:.2f}× now "
                f"({change:.2f} of it)"
            )


def _ratios(workload: Mapping[str, Any]) -> dict[str, float]:
    seconds = {side["side"]: side["seconds"] for side in workload["sides"]}
    own = seconds.pop("raysweep", None)
    return {} if own is None else {side: value / own for side, value in seconds.items()}


@click.command(epilog="Where the time goes: python -m benchmarks.breakdown NAME")
@click.argument("names", nargs=-1, type=click.Choice(list(WORKLOADS)))
@click.option("--quick", is_flag=True, help="Less work: a few minutes.")
@click.option("--side", "sides", multiple=True, type=click.Choice(SIDES), help="Only this side.")
@click.option(
    "--limit",
    default=0,
    show_default=True,
    help="Time the plain sides on their first runs only, and say what all would take; 0 for all.",
)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
@click.option(
    "--compare",
    type=click.Path(exists=True, path_type=Path),
    help="Figures of an earlier measurement (a file of --json) to compare with.",
)
@click.option("--page", is_flag=True, help="Write table and figure into docs/performance.md.")
def main(
    names: tuple[str, ...],
    quick: bool,
    sides: tuple[str, ...],
    limit: int,
    out: Path | None,
    compare: Path | None,
    page: bool,
) -> None:
    """Time the workloads named, or all, by raysweep and by what a user would run instead."""
    found: dict[str, Any] = {"machine": machine.description(), "workloads": []}
    click.echo(found["machine"])
    for name in names or (QUICK if quick else WORKLOADS):
        if not machine.wait_until_quiet(0):
            click.echo("other programs are using the processors")
        figures = measure(name, sides or SIDES, quick=quick, limit=limit)
        found["workloads"].append(figures)
        click.echo("\n" + "\n".join(lines_of(figures)))
        if out is not None:  # after each, so that what was measured stays
            out.write_text(json.dumps(found, indent=1) + "\n")
    if compare is not None:
        click.echo("\n" + "\n".join(compared(found, json.loads(compare.read_text()))))
    if page:
        write_page(found)


if __name__ == "__main__":
    main()
