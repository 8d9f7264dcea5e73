"""Command that finds problems of a sweep or the environment, and repairs them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from raysweep.cli import complete
from raysweep.cli.options import STORE, store_of
from raysweep.cli.output import show
from raysweep.text import one_line

if TYPE_CHECKING:
    from raysweep.doctor.finding import Finding
    from raysweep.doctor.sweep import SweepHealth
    from raysweep.store.files import Files


@click.command()
@click.argument("sweep", required=False, shell_complete=complete.sweeps)
@STORE
@click.option(
    "--fix", is_flag=True, help="Repair what can be repaired safely; no result is deleted."
)
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data sets [default: $RAYSWEEP_DATA, or ~/.cache/raysweep].",
)
@click.option("--address", metavar="ADDR", help="Address of a Ray cluster whose nodes to check.")
@click.option("--ray", "start_ray", is_flag=True, help="Check whether a local Ray starts.")
def doctor(
    sweep: str | None,
    *,
    store: str | None,
    fix: bool,
    data: str | None,
    address: str | None,
    start_ray: bool,
) -> int:
    """Check every file of a sweep; or the environment, and all sweeps in the store."""
    from raysweep.doctor.sweep import check_exists, examine_all, sweeps_of
    from raysweep.store.files import Files

    if sweep is not None and (data or address or start_ray):
        raise click.UsageError(
            "--data, --address and --ray check the environment, not a sweep; leave out "
            f"{sweep!r}, or these options"
        )
    if address and start_ray:
        raise click.UsageError("give --address or --ray, not both")
    files = Files(store_of(store))
    problems = 0
    if sweep is None:
        problems += _show_environment(files, data, address, start_ray)
        names = sweeps_of(files)
    else:
        check_exists(files, sweep)
        names = [sweep]
    for health in examine_all(files, names, fix=fix):
        problems += _show_health(health)
    return 1 if problems else 0


def _show_environment(
    store: "Files", data: str | None, address: str | None, start_ray: bool
) -> int:
    """Print the state of the environment; return the number of problems."""
    from raysweep.doctor.environment import examine

    environment = examine(store, data, address=address, start_ray=start_ray)
    for line in environment.facts:
        show(one_line(line))
    return _show_findings(environment.findings)


def _show_health(health: "SweepHealth") -> int:
    """Print the state of a sweep; return the number of problems."""
    wrong = len(health.wrong)
    verdict = f"{wrong} things are wrong" if wrong > 1 else "1 thing is wrong"
    if not wrong:
        verdict = "mended" if health.mended else "healthy"
    show(one_line(f"{health.sweep}: {verdict}{health.facts and f' ({health.facts})'}"))
    for finding in health.mended:
        show(f"  mended  {finding.mended_text}")
    return _show_findings(health.findings)


def _show_findings(findings: "Sequence[Finding]") -> int:
    """Print findings; return how many are problems."""
    for finding in findings:
        show(f"  {'note   ' if finding.is_note else 'wrong  '} {finding.text}")
    return sum(not finding.is_note for finding in findings)
