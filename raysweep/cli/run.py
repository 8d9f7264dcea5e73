"""Commands that run, plan, merge and delete sweeps."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raysweep.cli import crash, remote
from raysweep.cli.options import (
    CODE,
    MAX_RUNS,
    SERVER,
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
from raysweep.imports import paused_collection, without_collection
from raysweep.text import counted

if TYPE_CHECKING:
    from raysweep.client.server import Server
    from raysweep.driver.session import Session
    from raysweep.sweep.spec import Spec

RETRAINED = "'raysweep run' trains those that its file plans again"


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

    with added(code), paused_collection(for_good=True):
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
    from raysweep.driver.deletion import held

    sweep_store = Results(store_of(store), sweep).store
    with held(sweep_store):
        before, after = sweep_store.compact()
    show(f"{counted(before, 'file')} of rows, now {after}, in {sweep_store.uri}")
    return 0


@click.command()
@SWEEP
@STORE
@SERVER
@click.option(
    "--where", metavar="SQL", help="Delete only runs that meet this condition, e.g. 'seed > 4'."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def rm(sweep: str, store: str | None, server: str | None, where: str | None, yes: bool) -> int:
    """Delete a sweep with all its results, or some of its runs."""
    if service := remote.service(store, server):
        return _rm_at(service, sweep, where, yes)
    from raysweep.doctor.sweep import check_exists
    from raysweep.driver import deletion
    from raysweep.store.sweep_store import SweepStore

    if where is not None:
        return _rm_runs(store_of(store), sweep, where, yes)
    sweep_store = SweepStore(store_of(store), sweep)
    check_exists(sweep_store.store, sweep)
    if not _confirmed(deletion.of_sweep(sweep_store).text, yes):
        return 1
    with deletion.held(sweep_store):
        sweep_store.remove()
    show(f"deleted {sweep_store.uri}")
    return 0


def _rm_runs(store: str, sweep: str, where: str, yes: bool) -> int:
    """Delete the runs that meet a condition, and the unfinished packs all of whose runs do."""
    from raysweep.api import Results
    from raysweep.driver import deletion

    results = Results(store, sweep)
    chosen = deletion.of_runs(results, where)
    if chosen.note:
        show(chosen.note, err=True)
    if chosen.is_empty or not _confirmed(chosen.text, yes):
        return 1
    with deletion.held(results.store):
        deletion.delete_runs(results.store, chosen)
    show(f"deleted {chosen.text}; {RETRAINED}")
    return 0


def _rm_at(service: "Server", sweep: str, where: str | None, yes: bool) -> int:
    """Delete a sweep of a service, or some of its runs."""
    chosen = remote.deletion(service, sweep, where)
    if chosen["note"]:
        show(chosen["note"], err=True)
    is_empty = where is not None and not chosen["runs"] and not chosen["packs"]
    if is_empty or not _confirmed(chosen["text"], yes):
        return 1
    deleted = remote.delete(service, sweep, where)
    show(f"deleted {deleted['text']}; {RETRAINED}" if deleted else f"deleted {chosen['folder']}")
    return 0


def _confirmed(text: str, yes: bool) -> bool:
    """Return whether the user confirms a deletion; otherwise say that nothing was deleted."""
    if yes or click.confirm(f"Delete {text}?"):
        return True
    show("nothing deleted", err=True)
    return False
