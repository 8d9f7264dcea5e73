"""Commands that change a store: run, plan what would run, delete."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from raysweep.cli.options import SET, SMOKE, SPEC, STORE, SWEEP, print_table, store_of
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
    "--address", metavar="ADDR", help="Ray cluster to join; a local one is started otherwise."
)
@click.option("--inline", is_flag=True, help="Train in this process, without Ray.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Also try runs again that failed resources.max_failures times.",
)
@click.option(
    "--again",
    metavar="SQL",
    help="Remove the results of the file's runs like this and train them anew, e.g. "
    "\"task_name = 'toy'\".",
)
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
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Run a sweep, or what is missing of it."""
    from raysweep.api import Results
    from raysweep.driver import session as engine
    from raysweep.progress import Progress
    from raysweep.text import counted

    loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
    session = engine.drive(
        loaded,
        store=store,
        data=data,
        address=address,
        inline=inline,
        progress=Progress(),
        retry_failed=retry_failed,
        again=again,
    )
    print_table(Results(session.store.store.uri, session.store.sweep).table())
    for run_id, error in list(session.failed.items())[:20]:
        show(f"run {run_id} failed: {shown_error(error)}", err=True)
    if session.failed:
        most = loaded.resources.max_failures
        show(
            f"{counted(len(session.failed))} failed; the same command tries them again until each "
            f"has failed {most} times (resources.max_failures); "
            "add --retry-failed to try them beyond that; "
            f"'raysweep status {loaded.name} --failed' shows every attempt",
            err=True,
        )
    if session.missing:
        same = "the same command without --again" if again else "the same command"
        show(
            f"stopped with {session.missing} runs to go; {same} goes on from the checkpoints",
            err=True,
        )
    for line in session.blocked:
        show(line, err=True)
    show(f"results: {session.store.uri}")
    return session.exit_code


@click.command()
@SPEC
@STORE
@SMOKE
@SET
def plan(spec: Path, store: str | None, smoke: bool, changes: tuple[str, ...]) -> int:
    """Show what a run would do; nothing is started."""
    from raysweep.cli.plan_text import plan_text
    from raysweep.driver import session as engine

    loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
    show(plan_text(engine.plan(loaded, store)), nl=False)
    return 0


@click.command()
@SWEEP
@STORE
def compact(sweep: str, store: str | None) -> int:
    """Merge the many small files of rows that a large sweep leaves into few."""
    from raysweep.api import Results

    found = Results(store_of(store), sweep).store
    with held(found):
        before, after = found.compact()
    show(f"{before} files of rows, now {after}, in {found.uri}")
    return 0


@click.command()
@SWEEP
@STORE
@click.option("--where", metavar="SQL", help="Only runs like this, e.g. 'seed > 4'.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(sweep: str, store: str | None, where: str | None, yes: bool) -> int:
    """Delete a sweep with all its results, or some of its runs."""
    from raysweep.api import Results
    from raysweep.store.sweep_store import SweepStore

    if where is not None:
        return _rm_runs(Results(store_of(store), sweep), where, yes)
    found = SweepStore(store_of(store), sweep)
    runs = _count(found)
    if not yes and not click.confirm(f"Delete {runs} of {sweep} in {found.uri}?"):
        show("nothing deleted", err=True)
        return 1
    with held(found):
        found.remove()
    show(f"deleted {found.uri}")
    return 0


@contextlib.contextmanager
def held(store: Any) -> Iterator[None]:
    """Holds a sweep for a command that changes it: the lease is looked at before each write."""
    from raysweep.store.lease import Lease
    from raysweep.store.retry import Patience

    with Lease(store.files) as lease:
        store.files = store.files.with_patience(Patience(lease.check))
        yield


def _count(store: Any) -> str:
    """The ended runs, as far as they can be counted: damage must not keep a sweep from removal."""
    from raysweep.doctor.sweep import check_exists
    from raysweep.store.compaction import IncompleteMerge
    from raysweep.text import counted

    check_exists(store.store, store.sweep)
    if not store.files.exists("spec.json"):
        return "all runs"
    with contextlib.suppress(DamagedFile, IncompleteMerge):
        store.spec()
        return counted(store.count("runs"))
    return "all runs"


def _rm_runs(results: Any, where: str, yes: bool) -> int:
    """Deletes the runs that meet a condition."""
    from raysweep.driver.again import remove_for_good
    from raysweep.results.sql import matching

    store = results.store
    dataset = store.dataset("runs")
    with store.reading(dataset):
        met = matching(dataset, where).to_pylist()
    which = f"{len(met)} of {store.count('runs')} runs of {store.sweep} in {store.uri}"
    if not yes and not click.confirm(f"Delete {which}?"):
        show("nothing deleted", err=True)
        return 1
    with held(store):
        remove_for_good(store, met)
    show(f"deleted {which}")
    return 0
