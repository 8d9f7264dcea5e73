"""Commands that run, plan, merge and delete sweeps."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raysweep.cli import crash
from raysweep.cli.options import (
    CODE,
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
from raysweep.cli.output import screen, show
from raysweep.errors import DamagedFile
from raysweep.imports import without_collection
from raysweep.text import counted

if TYPE_CHECKING:
    from raysweep.driver.session import Session
    from raysweep.sweep.spec import Spec

MAX_ARMS = 10  # that a message names


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
    "--raise",
    "raises",
    is_flag=True,
    help="With --inline: raise the first error of a run, e.g. for a debugger.",
)
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
@CODE
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
    raises: bool,
    retry_failed: bool,
    again: str | None,
    code: tuple[Path, ...],
    max_runs: int | None,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Run a sweep, or only what is missing."""
    with without_collection():
        from raysweep.api import Results
        from raysweep.code.files import added
        from raysweep.driver import session as engine
        from raysweep.progress import Progress

    if raises and not inline:
        raise click.UsageError("--raise needs --inline: other processes cannot stop in a debugger")
    with added(code) as user_code, crash.passing(raises):
        loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
        announce_size(loaded, max_runs)
        session = engine.drive(
            loaded,
            store=store,
            data=data,
            address=address,
            inline=inline or (smoke and address is None),
            progress=Progress(),
            retry_failed=retry_failed,
            again=again,
            raises=raises,
            max_runs=max_runs,
            code=user_code,
        )
    print_table(Results(session.store.store.uri, session.store.sweep).table())
    _show_open(session, loaded, again=again is not None)
    show(f"results: {session.store.uri}")
    return session.exit_code


def _show_open(session: "Session", spec: "Spec", *, again: bool) -> None:
    """Show what failed, is missing, or can never run, with what to do."""
    from raysweep.formats.failed_runs import error_lines

    for line in error_lines(session.failed):
        show(line, err=True)
    if session.failed:
        limit = spec.resources.max_failures
        show(
            f"{counted(len(session.failed))} failed; run the same command again to retry "
            f"those with fewer than {limit} failures (resources.max_failures), with --retry-failed "
            f"to retry all; 'raysweep logs {spec.name}' shows the tracebacks",
            err=True,
        )
    if session.missing:
        option = " without --again" if again else ""
        bound = "up to " if session.is_bound else ""
        more = ", and more to come as the budget allows" if session.is_open_ended else ""
        show(
            f"{bound}{counted(session.missing)} still missing{more}; run the same "
            f"command{option} again to resume from the checkpoints",
            err=True,
        )
    for line in session.blocked:
        show(line, err=True)


@click.command()
@SPEC
@STORE
@CODE
@MAX_RUNS
@SMOKE
@SET
def plan(
    spec: Path,
    *,
    store: str | None,
    code: tuple[Path, ...],
    max_runs: int | None,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Show which runs a session would train; nothing is started."""
    with without_collection():
        from raysweep.cli.plan_text import plan_text
        from raysweep.code.files import added
        from raysweep.driver import session as engine

    with added(code):
        loaded = engine.load(spec, changes, smoke=smoke, changes_place="--set")
        announce_size(loaded, max_runs)
        show(plan_text(engine.plan(loaded, store, max_runs=max_runs), screen()), nl=False)
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
    show(f"{counted(before, 'file')} of rows, now {after}, in {sweep_store.uri}")
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

    check_exists(store.store, store.sweep)
    if not store.files.exists(sweep_paths.SPEC):
        return "all runs"
    with contextlib.suppress(DamagedFile, IncompleteMerge):
        store.spec()
        return counted(store.count("runs"))
    return "all runs"


def _rm_runs(results: Any, where: str, yes: bool) -> int:
    """Delete the runs that meet a condition, and the unfinished packs all of whose runs do."""
    from raysweep.driver.again import remove_for_good
    from raysweep.errors import SpecError
    from raysweep.results.reader import read_meeting
    from raysweep.results.unfinished import unfinished

    store = results.store
    run_ids = read_meeting(store, results.spec, where, "where").to_pylist()
    begun = unfinished(results.spec, store)
    in_packs = begun.meeting(where, "where")
    packs = [manifest.pack.pack_id for manifest in begun.packs_of(in_packs)]
    if not run_ids and not in_packs:
        labels = {arm.name for arm in results.spec.arms}
        shown = ", ".join(sorted(labels)[:MAX_ARMS]) + ", …" * (len(labels) > MAX_ARMS)
        raise SpecError(
            f"no run meets the condition {where!r}; arms of the file, as estimator · task: {shown}",
            field="where",
        )
    if mixed := len(begun.packs_with(in_packs)) - len(packs):
        show(
            f"{counted(mixed, 'unfinished pack')} with runs that meet the condition, and with "
            f"others, {'is' if mixed == 1 else 'are'} kept",
            err=True,
        )
    if not run_ids and not packs:
        return 1
    selection = f"{len(run_ids)} of {counted(store.count('runs'))}"
    selection += f" and {counted(len(packs), 'unfinished pack')}" if packs else ""
    selection += f" of {store.sweep} in {store.uri}"
    if not yes and not click.confirm(f"Delete {selection}?"):
        show("nothing deleted", err=True)
        return 1
    with held(store):
        remove_for_good(store, run_ids, packs)
    show(f"deleted {selection}; 'raysweep run' trains those that its file plans again")
    return 0
