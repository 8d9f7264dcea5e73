"""Looks at one sweep, or at all of a store, and mends what is safe to mend."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from raysweep.doctor import content, curves, leftovers, rows
from raysweep.doctor.finding import Check, Finding, looked_at
from raysweep.doctor.holder import LeaseHolder
from raysweep.errors import FormatTooNew, LeaseLost, SpecError, StoreError, nearest
from raysweep.store import integrity, lease
from raysweep.store.files import Files
from raysweep.store.lease import Lease
from raysweep.store.lease_timing import Timing
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore, list_sweeps
from raysweep.sweep.spec import NAME
from raysweep.text import counted

ROUNDS = 5  # of looking and mending: what is mended may show more
_FOLDERS = {"runs", "curves", "checkpoints", "merging", "removing"}


@dataclasses.dataclass(frozen=True)
class SweepHealth:
    """What is wrong with a sweep.

    Args:
        sweep: The sweep's name.
        facts: What was counted, and who drives it.
        findings: What is wrong, or should be known.
        mended: What was wrong and is mended.
    """

    sweep: str
    facts: str
    findings: Sequence[Finding]
    mended: Sequence[Finding] = ()

    @property
    def wrong(self) -> list[Finding]:
        """The findings that are not only notes."""
        return [each for each in self.findings if not each.is_note]


def sweeps_of(store: Files) -> list[str]:
    """The sweeps of a store, and folders that are sweeps without their spec."""
    known = set(list_sweeps(store))
    for name in set(store.folders()) - known:
        if NAME.fullmatch(name) and _FOLDERS & {*store.below(name).folders()}:
            known.add(name)
    return sorted(known)


def check_exists(store: Files, sweep: str) -> None:
    """Refuses the name of a sweep that the store does not have.

    Raises:
        SpecError: If it has no such sweep.
    """
    SweepStore(store.uri, sweep)  # the name
    if sweep not in (known := sweeps_of(store)):
        hint = nearest(sweep, known) or "; the store is empty"
        raise SpecError(f"expected a sweep in {store.uri}, got {sweep!r}{hint}")


def examine_all(
    store: Files, names: Sequence[str], *, fix: bool, timing: Timing | None = None
) -> Iterator[SweepHealth]:
    """Looks at sweeps, one after the other.

    Args:
        store: The store.
        names: Names of the sweeps.
        fix: Whether to mend what is safe to mend.
        timing: Times of the lease's protocol.

    Yields:
        What is wrong with each of them.
    """
    times = timing or Timing()
    holders: dict[str, LeaseHolder | StoreError] = {}
    for name in names:
        try:
            holders[name] = LeaseHolder(store.below(name), times)
        except StoreError as error:
            holders[name] = error
    for name, holder in holders.items():
        try:
            if isinstance(holder, StoreError):
                raise holder
            yield _Doctor(SweepStore(store.uri, name), holder, times).treat(fix=fix)
        except StoreError as error:
            yield SweepHealth(name, "", [Finding(name, str(error))])


class _Doctor:
    """Looks at one sweep.

    Args:
        store: The sweep's folder.
        holder: Holder of its lease.
        timing: Times of the lease's protocol.
    """

    def __init__(self, store: SweepStore, holder: LeaseHolder, timing: Timing) -> None:
        self.store, self.holder, self.timing = store, holder, timing

    def treat(self, *, fix: bool) -> SweepHealth:
        """Looks, and mends what is safe to mend if wanted."""
        name = self.store.sweep
        try:
            self.store.check_format()
        except FormatTooNew as error:
            return SweepHealth(name, "", [Finding("spec.json", str(error))])
        alive = self.holder.is_alive()
        found = [*self._left(), *self._look(alone=not alive)]
        if not fix or not any(each.fix for each in found):
            return SweepHealth(name, self._facts(alive), found)
        if alive:
            problem = f"nothing is mended, as the sweep is driven by {self.holder.name}"
            found.append(Finding(lease.NAME, problem, "stop it, or wait for it to end"))
            return SweepHealth(name, self._facts(alive), found)
        try:
            with Lease(self.store.files, self.timing) as held:
                self.store.files = self.store.files.with_patience(Patience(held.check))
                mended, found = self._mend()
        except StoreError as error:
            found.append(Finding(lease.NAME, f"nothing is mended: {error}"))
            return SweepHealth(name, self._facts(alive), found)
        return SweepHealth(name, self._facts(alive), found, [*self._left(), *mended])

    def _left(self) -> list[Finding]:
        left = self.holder.finding()
        return [left] if left else []

    def _facts(self, alive: bool) -> str:
        files = self.store.files
        driver = f"driven by {self.holder.name}" if alive else "no driver"
        counts = f"{counted(len(files.names('runs', '.parquet')), 'file')} of rows, "
        counts += f"{counted(len(files.folders('checkpoints')), 'pack')} in flight"
        return f"{counts}, {driver}"

    def _mend(self) -> tuple[list[Finding], list[Finding]]:
        """Mends, and looks again, until there is nothing left to mend.

        Returns:
            What was mended, and what is still wrong.
        """
        tried: dict[str, Finding] = {}
        errors: list[Finding] = []
        found = self._look(alone=True)
        for _ in range(ROUNDS):
            fresh = [each for each in found if each.fix and each.text not in tried]
            if not fresh:
                break
            for each in fresh:
                tried[each.text] = each
                errors += _fixed(each)
            found = self._look(alone=True)
        remaining = {each.text for each in found}
        mended = [each for text, each in tried.items() if text not in remaining]
        return mended, [*found, *errors]

    def _look(self, *, alone: bool) -> list[Finding]:
        """Looks at everything.

        Args:
            alone: Whether no driver changes the files meanwhile; what it may be at work on is left
                out otherwise.
        """
        files = self.store.files
        damages = content.damaged(content.still_damaged(files, integrity.verify(files)))
        checks: dict[str, Check] = {
            "spec.json": lambda: content.spec(files),
            files.uri: lambda: content.findings(files, damages.values()),
        }
        if alone:
            checks["merging"] = lambda: content.merge(files)
            checks["removing"] = lambda: content.removing(files)
        found = [each for where, check in checks.items() for each in looked_at(where, check)]
        found += self._look_at_runs(damages, found, alone=alone)
        if alone:
            found += looked_at("hidden files", lambda: leftovers.written_aside(files))
        return [*found, *looked_at("damaged", lambda: leftovers.set_aside(files))]

    def _look_at_runs(
        self, damages: Collection[str], before: Sequence[Finding], *, alone: bool
    ) -> list[Finding]:
        """Looks at rows, and at what must agree with them.

        Args:
            damages: Names of damaged files.
            before: Findings so far.
            alone: Whether no driver changes the files meanwhile.
        """
        files = self.store.files
        known: list[rows.Row] = []

        def read() -> Iterator[Finding]:
            known.extend(rows.read(self.store, damages))
            if alone:
                yield from rows.findings(self.store, known)

        found = looked_at("runs", read)
        if not known and found:  # a merge that lacks rows is found twice
            is_known = any(each.where == "merging" for each in before)
            return [] if is_known else found
        ended = rows.kept(known)
        if alone and not any(name.startswith("runs/") for name in damages):
            well = {row.run_id for row in ended if row.status != "failed"}
            found += looked_at("checkpoints", lambda: content.checkpoints(files, damages, well))
            found += looked_at("curves", lambda: curves.orphans(files))
        complete = lambda: curves.findings(files, ended, damages, alone=alone)  # noqa: E731
        return [*found, *looked_at("curves", complete)]


def _fixed(finding: Finding) -> list[Finding]:
    """Mends; a finding if that fails."""
    try:
        if finding.fix is not None:
            finding.fix()
    except LeaseLost:
        raise
    except (StoreError, FileNotFoundError) as error:
        return [Finding(finding.where, f"could not be mended: {error}")]
    return []
