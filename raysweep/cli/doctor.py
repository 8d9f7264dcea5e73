"""The command that looks for what is wrong, and mends it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from raysweep.cli.options import STORE, store_of
from raysweep.cli.output import show
from raysweep.text import one_line

if TYPE_CHECKING:
    from raysweep.doctor.finding import Finding
    from raysweep.doctor.sweep import SweepHealth
    from raysweep.store.files import Files


@click.command()
@click.argument("sweep", required=False)
@STORE
@click.option("--fix", is_flag=True, help="Mend what is safe to mend; no result is deleted.")
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data sets [default: $RAYSWEEP_DATA, or ~/.cache/raysweep].",
)
@click.option("--address", metavar="ADDR", help="Ray cluster whose nodes to ask.")
@click.option("--ray", "start_ray", is_flag=True, help="See whether a local Ray starts.")
def doctor(
    sweep: str | None,
    *,
    store: str | None,
    fix: bool,
    data: str | None,
    address: str | None,
    start_ray: bool,
) -> int:
    """Look at every file of a sweep; or at the environment, and at all sweeps of the store."""
    from raysweep.doctor.sweep import check_exists, examine_all, sweeps_of
    from raysweep.store.files import Files

    if sweep is not None and (data or address or start_ray):
        raise click.UsageError(
            "expected --data, --address and --ray without the name of a sweep, got "
            f"{sweep!r}: they are for the environment"
        )
    if address and start_ray:
        raise click.UsageError("expected --address or --ray, got both")
    files = Files(store_of(store))
    wrong = 0
    if sweep is None:
        wrong += _show_environment(files, data, address, start_ray)
        names = sweeps_of(files)
    else:
        check_exists(files, sweep)
        names = [sweep]
    for health in examine_all(files, names, fix=fix):
        wrong += _show_health(health)
    return 1 if wrong else 0


def _show_environment(
    store: "Files", data: str | None, address: str | None, start_ray: bool
) -> int:
    """Prints what is known of the environment; how much is wrong."""
    from raysweep.doctor.environment import examine

    found = examine(store, data, address=address, start_ray=start_ray)
    for line in found.facts:
        show(one_line(line))
    return _show_findings(found.findings)


def _show_health(health: "SweepHealth") -> int:
    """Prints what is known of a sweep; how much is wrong."""
    wrong = len(health.wrong)
    verdict = f"{wrong} things are wrong" if wrong > 1 else "1 thing is wrong"
    if not wrong:
        verdict = "mended" if health.mended else "healthy"
    show(one_line(f"{health.sweep}: {verdict}{health.facts and f' ({health.facts})'}"))
    for each in health.mended:
        show(f"  mended  {each.mended_text}")
    return _show_findings(health.findings)


def _show_findings(findings: "Sequence[Finding]") -> int:
    """Prints findings; how many say that something is wrong."""
    for each in findings:
        show(f"  {'note   ' if each.is_note else 'wrong  '} {each.text}")
    return sum(not each.is_note for each in findings)
