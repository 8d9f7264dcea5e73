"""Checks for damaged files of a sweep, and for interrupted merges and removals."""

from collections.abc import Callable, Collection, Iterable, Iterator

from raysweep.doctor.finding import Finding, again
from raysweep.errors import DamagedFile
from raysweep.store import compaction, curve_files, integrity, removal, sweep_paths
from raysweep.store.again_file import NAME as AGAIN
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.files import Files
from raysweep.store.integrity import Damage

ASIDE = "it is moved to damaged/"
_REMEDY = {
    "runs": "`raysweep run FILE` trains its runs again",
    "attempts": "the error and time of that attempt are lost",
    "decisions": "early stopping continues from the curves and the other decisions",
    "checkpoints": "`raysweep run FILE` trains the pack from its start",
    sweep_paths.SEARCH: "the search continues from its results",
    AGAIN: "a search no longer knows which configurations to train again",
    sweep_paths.PACK_SIZES: "`raysweep run FILE` measures sizes of packs again",
    "removing": "repeat the `raysweep rm` or `raysweep run FILE --again` that was interrupted",
}


_IN_FOLDER = f"FILE is {sweep_paths.FILE} in the same folder"


def damaged(damages: Iterable[Damage]) -> dict[str, Damage]:
    """Return damaged files by name, without those that `merge` and `removing` check."""
    others = ("merging/", "removing/")
    return {damage.name: damage for damage in damages if not damage.name.startswith(others)}


def still_damaged(files: Files, damages: Iterable[Damage]) -> list[Damage]:
    """Return the damages without those of checkpoints that a driver replaced during the check."""
    remaining = []
    for damage in damages:
        folder, _, rest = damage.name.partition("/")
        if folder != "checkpoints" or _is_damaged(files, rest.partition("/")[0]):
            remaining.append(damage)
    return remaining


def _is_damaged(files: Files, pack_id: str) -> bool:
    for _ in range(3):
        try:
            integrity.read_checkpoint(files, pack_id, states=True)
        except DamagedFile:
            continue
        return False
    return True


def findings(files: Files, damages: Iterable[Damage]) -> Iterator[Finding]:
    """Yield a finding for each damaged file."""
    for damage in damages:
        folder = damage.name.partition("/")[0]
        problem = f"damaged ({damage.kind}): {damage.problem}"
        if damage.name == sweep_paths.SPEC:
            remedy = f"`raysweep run FILE` rewrites it; {_IN_FOLDER}"
            yield Finding(damage.name, problem, remedy)
            continue
        remedy = _REMEDY.get(folder, "")
        if folder == "curves":
            file = curve_files.parsed(damage.name)
            remedy = again("pack_id", [file.pack_id]) if file else ""
        yield Finding(damage.name, problem, remedy, ASIDE, _aside(files, damage.name))


def spec(files: Files) -> Iterator[Finding]:
    """Yield a finding if the spec is missing."""
    if not files.exists(sweep_paths.SPEC):
        remedy = "`raysweep run FILE` rewrites it"
        if files.exists(sweep_paths.FILE):
            remedy += f"; {_IN_FOLDER}"
        yield Finding(
            sweep_paths.SPEC, "missing, and no command can read the sweep without it", remedy
        )


def merge(files: Files) -> Iterator[Finding]:
    """Yield a finding if a merge of rows was interrupted."""

    def mend() -> None:
        try:
            integrity.end_merge(files)
        except compaction.IncompleteMerge:
            compaction.give_up(files)

    remedy = "`raysweep compact` and the next run complete it, too"
    problem, fixed = "a merge of rows was interrupted", "it is completed"
    try:
        if compaction.under_way(files) is None and not files.exists(compaction.ROWS):
            return
        compaction.names_of_rows(files)
    except compaction.IncompleteMerge as error:
        problem, fixed = str(error).partition("; ")[0], "its files are moved to damaged/"
        remedy = "`raysweep run FILE` trains the runs in the missing files again"
    except DamagedFile as error:
        problem = f"a merge of rows was interrupted, and {error.name} is damaged: {error.reason}"
    yield Finding("merging", problem, remedy, fixed, mend)


def removing(files: Files) -> Iterator[Finding]:
    """Yield a finding if a removal of runs was interrupted."""
    if not files.exists(removal.PLAN):
        return
    try:
        removal.check(files)
    except DamagedFile as error:
        problem = f"damaged (runs to be removed): {error.reason}"
        remedy = _REMEDY["removing"]
        yield Finding(removal.PLAN, problem, remedy, ASIDE, _aside(files, removal.PLAN))
        return
    remedy = "the next run completes it, too"
    problem = "a removal of runs was interrupted"
    yield Finding("removing", problem, remedy, "it is completed", lambda: removal.end(files))


def checkpoints(
    files: Files, damages: Collection[str], finished: Collection[str]
) -> Iterator[Finding]:
    """Yield findings for checkpoints that nothing resumes from.

    Args:
        files: The sweep's folder.
        damages: Names of damaged files.
        finished: Ids of runs that ended and did not fail.
    """
    broken = {name.split("/")[1] for name in damages if name.startswith("checkpoints/")}
    for pack_id in files.folders("checkpoints"):
        if pack_id in broken:
            continue
        checkpoint = Checkpoints(files, pack_id)
        manifest = checkpoint.manifest()
        folder = checkpoint.folder
        if manifest is None:
            if files.names(folder, sweep_paths.STATE_SUFFIX):
                problem = "a state without a manifest, from which nothing can resume"
                yield Finding(folder, problem, "", ASIDE, checkpoint.set_aside)
        elif all(run.run_id in finished for run in manifest.pack.runs):
            problem = "the checkpoint of a pack whose runs have all ended"
            yield Finding(folder, problem, "", "it is removed", checkpoint.remove)


def pack_of(name: str) -> str:
    """Return the pack after which a file of curves is named, or the name if there is none."""
    file = curve_files.parsed(name)
    return file.pack_id if file else name


def _aside(files: Files, name: str) -> Callable[[], str]:
    return lambda: integrity.set_aside(files, name)
