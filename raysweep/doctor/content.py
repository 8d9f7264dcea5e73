"""Files of a sweep that are damaged, and work on it that was cut off."""

from collections.abc import Callable, Collection, Iterable, Iterator

from raysweep.doctor.finding import Finding, again
from raysweep.errors import DamagedFile
from raysweep.store import compaction, curve_files, integrity, removal
from raysweep.store.again_file import NAME as AGAIN
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.files import Files
from raysweep.store.integrity import Damage

ASIDE = "it is set aside, below damaged/"
_REMEDY = {
    "runs": "`raysweep run FILE` trains its runs anew",
    "attempts": "the error and time of that attempt are lost",
    "decisions": "early stopping continues from the curves and the other decisions",
    "checkpoints": "`raysweep run FILE` trains the pack anew",
    "search.json": "the search continues from its results",
    AGAIN: "a search forgets which configurations were to be trained anew",
    "removing": "give `raysweep rm`, or `raysweep run FILE --again`, again",
}


def damaged(damages: Iterable[Damage]) -> dict[str, Damage]:
    """Damaged files by name, without those that `merge` and `removing` look at."""
    others = ("merging/", "removing/")
    return {each.name: each for each in damages if not each.name.startswith(others)}


def still_damaged(files: Files, damages: Iterable[Damage]) -> list[Damage]:
    """The damages, less those of checkpoints that a driver replaced while they were read."""
    found = []
    for each in damages:
        folder, _, rest = each.name.partition("/")
        if folder != "checkpoints" or _is_damaged(files, rest.partition("/")[0]):
            found.append(each)
    return found


def _is_damaged(files: Files, pack_id: str) -> bool:
    for _ in range(3):
        try:
            integrity.read_checkpoint(files, pack_id, states=True)
        except DamagedFile:
            continue
        return False
    return True


def findings(files: Files, damages: Iterable[Damage]) -> Iterator[Finding]:
    """A finding for each damaged file."""
    for each in damages:
        folder = each.name.partition("/")[0]
        problem = f"damaged ({each.kind}): {each.problem}"
        if each.name == "spec.json":
            remedy = "`raysweep run FILE` writes it anew; sweep.yaml beside it is the file"
            yield Finding(each.name, problem, remedy)
            continue
        remedy = _REMEDY.get(folder, "")
        if folder == "curves":
            own = curve_files.parsed(each.name)
            remedy = again("pack_id", [own.pack_id]) if own else ""
        yield Finding(each.name, problem, remedy, ASIDE, _aside(files, each.name))


def spec(files: Files) -> Iterator[Finding]:
    """A missing spec."""
    if not files.exists("spec.json"):
        remedy = "`raysweep run FILE` writes it anew"
        if files.exists("sweep.yaml"):
            remedy += "; sweep.yaml beside it is the file"
        yield Finding("spec.json", "missing, and no command reads a sweep without it", remedy)


def merge(files: Files) -> Iterator[Finding]:
    """A merge of rows that was cut off."""

    def mend() -> None:
        try:
            integrity.end_merge(files)
        except compaction.IncompleteMerge:
            compaction.give_up(files)

    remedy = "`raysweep compact` and the next run end it, too"
    problem, fixed = "a merge of rows was cut off", "it is ended"
    try:
        if compaction.under_way(files) is None and not files.exists(compaction.ROWS):
            return
        compaction.names_of_rows(files)
    except compaction.IncompleteMerge as error:
        problem, fixed = str(error).partition("; ")[0], "it is given up, its rest kept in damaged/"
        remedy = "`raysweep run FILE` trains the runs of the missing files anew"
    except DamagedFile as error:
        problem = f"a merge of rows was cut off, and {error.name} is damaged: {error.reason}"
    yield Finding("merging", problem, remedy, fixed, mend)


def removing(files: Files) -> Iterator[Finding]:
    """A removal of runs that was cut off."""
    if not files.exists(removal.PLAN):
        return
    try:
        removal.check(files)
    except DamagedFile as error:
        problem = f"damaged (runs to be removed): {error.reason}"
        remedy = _REMEDY["removing"]
        yield Finding(removal.PLAN, problem, remedy, ASIDE, _aside(files, removal.PLAN))
        return
    remedy = "the next run ends it, too"
    problem = "a removal of runs was cut off"
    yield Finding("removing", problem, remedy, "it is ended", lambda: removal.end(files))


def checkpoints(files: Files, damages: Collection[str], well: Collection[str]) -> Iterator[Finding]:
    """Checkpoints that nothing resumes from.

    Args:
        files: The sweep's folder.
        damages: Names of damaged files.
        well: Ids of runs that ended and did not fail.
    """
    broken = {name.split("/")[1] for name in damages if name.startswith("checkpoints/")}
    for pack_id in files.folders("checkpoints"):
        if pack_id in broken:
            continue
        own = Checkpoints(files, pack_id)
        manifest = own.manifest()
        where = own.folder
        if manifest is None:
            if files.names(where, ".pt"):
                problem = "a state without a manifest, which nothing can resume from"
                yield Finding(where, problem, "", ASIDE, own.set_aside)
        elif all(run.run_id in well for run in manifest.pack.runs):
            problem = "the checkpoint of a pack whose runs have all ended"
            yield Finding(where, problem, "", "it is removed", own.remove)


def pack_of(name: str) -> str:
    """The pack that a file of curves is named after; the name where raysweep gives no such one."""
    own = curve_files.parsed(name)
    return own.pack_id if own else name


def _aside(files: Files, name: str) -> Callable[[], str]:
    return lambda: integrity.set_aside(files, name)
