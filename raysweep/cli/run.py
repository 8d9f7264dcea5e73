"""Commands that run, plan, merge and delete sweeps."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from raysweep.cli.options import (
    MAX_RUNS,
    SET,
    SMOKE,
    SPEC,
    STORE,
    SWEEP,
    announce_size,
    print_table,
    store_of,
)
from raysweep.cli.output import show
from raysweep.errors import DamagedFile
from raysweep.text import shown_error


@click.command()
@SPEC
@STORE
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data sets [default: $RAYSWEEP_DATA, or ~/.cache/raysweep].",
)
@click.option(
    "--address",
    metavar="ADDR",
    help="Address of a Ray cluster to join [default: start a local one].",
)
@click.option("--inline", is_flag=True, help="Train in this process, without Ray.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Also retry runs that have failed resources.max_failures times.",
)
@click.option(
    "--again",
    metavar="SQL",
    help="Remove the results of the file's runs that meet this condition, and train them again, "
    "e.g. \"task_name = 'toy'\".",
)
@MAX_RUNS
@SMOKE
@SET
def run(  # noqa: PLR0913 - one for each option
    spec: Path,
    *,
    store: str | None,
    data: str | None,
    address: str | None,
    inline: bool,
    retry_failed: bool,
    again: str | None,
    max_runs: int | None,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Run a sweep, or only what is missing."""
    from raysweep.api import Results
    from raysweep.driver import session as engine
    from raysweep.progress import Progress

    loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
    announce_size(loaded, max_runs)
    session = engine.drive(
        loaded,
        store=store,
        data=data,
        address=address,
        inline=inline,
        progress=Progress(),
        retry_failed=retry_failed,
        again=again,
        max_runs=max_runs,
    )
    print_table(Results(session.store.store.uri, session.store.sweep).table())
    _explain_end(session, loaded, is_again=again is not None)
    show(f"results: {session.store.uri}")
    return session.exit_code


def _explain_end(session: Any, spec: Any, *, is_again: bool) -> None:
    """Show the runs that failed or are missing, and the way to get their results."""
    from raysweep.text import counted

    for run_id, error in list(session.failed.items())[:20]:
        show(f"run {run_id} failed: {shown_error(error)}", err=True)
    if session.failed:
        limit = spec.resources.max_failures
        show(
            f"{counted(len(session.failed))} failed; run the same command again to retry "
            f"those with fewer than {limit} failures (resources.max_failures), with --retry-failed "
            f"to retry all; 'raysweep status {spec.name} --failed' shows every attempt",
            err=True,
        )
    if session.missing:
        option = " without --again" if is_again else ""
        show(
            f"{counted(session.missing)} still missing; run the same command{option} again to "
            "resume from the checkpoints",
            err=True,
        )
    for line in session.blocked:
        show(line, err=True)


@click.command()
@SPEC
@STORE
@MAX_RUNS
@SMOKE
@SET
def plan(
    spec: Path,
    *,
    store: str | None,
    max_runs: int | None,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Show which runs a session would train; nothing is started."""
    from raysweep.cli.plan_text import plan_text
    from raysweep.driver import session as engine

    loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
    announce_size(loaded, max_runs)
    show(plan_text(engine.plan(loaded, store, max_runs=max_runs)), nl=False)
    return 0


@click.command()
@SWEEP
@STORE
def compact(sweep: str, store: str | None) -> int:
    """Merge the many small files of rows of a large sweep into a few."""
    from raysweep.api import Results
    from raysweep.text import counted

    sweep_store = Results(store_of(store), sweep).store
    with held(sweep_store):
        before, after = sweep_store.compact()
    files = counted(before, "file of rows", "files of rows")
    show(f"{files}, now {after}, in {sweep_store.uri}")
    return 0


@click.command()
@SWEEP
@STORE
@click.option(
    "--where", metavar="SQL", help="Delete only runs that meet this condition, e.g. 'seed > 4'."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def rm(sweep: str, store: str | None, where: str | None, yes: bool) -> int:
    """Delete a sweep with all its results, or some of its runs."""
    from raysweep.api import Results
    from raysweep.store.sweep_store import SweepStore

    if where is not None:
        return _rm_runs(Results(store_of(store), sweep), where, yes)
    sweep_store = SweepStore(store_of(store), sweep)
    runs = _count(sweep_store)
    if not yes and not click.confirm(f"Delete {runs} of {sweep} in {sweep_store.uri}?"):
        show("nothing deleted", err=True)
        return 1
    with held(sweep_store):
        sweep_store.remove()
    show(f"deleted {sweep_store.uri}")
    return 0


@contextlib.contextmanager
def held(store: Any) -> Iterator[None]:
    """Hold the lease of a sweep for a command that changes it; each write checks the lease."""
    from raysweep.store.lease import Lease
    from raysweep.store.retry import Patience

    with Lease(store.files) as lease:
        store.files = store.files.with_patience(Patience(lease.check))
        yield


def _count(store: Any) -> str:
    """Return the number of ended runs as text, or `all runs` if damage makes it unknown."""
    from raysweep.doctor.sweep import check_exists
    from raysweep.store import sweep_paths
    from raysweep.store.compaction import IncompleteMerge
    from raysweep.text import counted

    check_exists(store.store, store.sweep)
    if not store.files.exists(sweep_paths.SPEC):
        return "all runs"
    with contextlib.suppress(DamagedFile, IncompleteMerge):
        store.spec()
        return counted(store.count("runs"))
    return "all runs"


def _rm_runs(results: Any, where: str, yes: bool) -> int:
    """Delete the runs that meet a condition."""
    from raysweep.driver.again import remove_for_good
    from raysweep.results.sql import matching

    store = results.store
    dataset = store.dataset("runs")
    with store.reading(dataset):
        run_ids = matching(dataset, where).to_pylist()
    selection = f"{len(run_ids)} of {store.count('runs')} runs of {store.sweep} in {store.uri}"
    if not yes and not click.confirm(f"Delete {selection}?"):
        show("nothing deleted", err=True)
        return 1
    with held(store):
        remove_for_good(store, run_ids)
    show(f"deleted {selection}")
    return 0
