"""Checks of one or all sweeps of a store, and fixes where they are safe."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from raysweep.doctor import content, curves, leftovers, rows
from raysweep.doctor.finding import Check, Finding, findings_of
from raysweep.doctor.holder import LeaseHolder
from raysweep.errors import FormatTooNew, LeaseLost, StoreError
from raysweep.store import integrity, lease, sweep_paths
from raysweep.store.files import Files
from raysweep.store.lease import Lease
from raysweep.store.lease_timing import Timing
from raysweep.store.listing import list_sweeps, no_such_sweep
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import NAME
from raysweep.text import counted

ROUNDS = 5  # of checks and fixes, as a fix may reveal further problems
_FOLDERS = {"runs", "curves", "checkpoints", "merging", "removing"}


@dataclasses.dataclass(frozen=True)
class SweepHealth:
    """State of a sweep after its checks and fixes.

    Args:
        sweep: Name of the sweep.
        facts: Number of files and of unfinished packs, and the driver.
        findings: Problems that remain, and notes.
        mended: Problems that were fixed.
    """

    sweep: str
    facts: str
    findings: Sequence[Finding]
    mended: Sequence[Finding] = ()

    @property
    def wrong(self) -> list[Finding]:
        """Findings that are not notes."""
        return [finding for finding in self.findings if not finding.is_note]


def sweeps_of(store: Files) -> list[str]:
    """Return the names of a store's sweeps, including folders of sweeps without their spec."""
    known = set(list_sweeps(store))
    for name in set(store.folders()) - known:
        if NAME.fullmatch(name) and _FOLDERS & {*store.below(name).folders()}:
            known.add(name)
    return sorted(known)


def check_exists(store: Files, sweep: str) -> None:
    """Check that the store has a sweep.

    Raises:
        SpecError: If the store has no such sweep.
    """
    SweepStore(store.uri, sweep)  # checks the name
    if sweep not in (known := sweeps_of(store)):
        raise no_such_sweep(store, sweep, known)


def examine_all(
    store: Files, names: Sequence[str], *, fix: bool, timing: Timing | None = None
) -> Iterator[SweepHealth]:
    """Check sweeps, one after the other.

    Args:
        store: Files of the store.
        names: Names of the sweeps.
        fix: Whether to fix problems where that is safe.
        timing: Times of the lease's protocol.

    Yields:
        The state of each sweep.
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
            yield _Doctor(SweepStore(store.uri, name), holder, times).examine(fix=fix)
        except StoreError as error:
            yield SweepHealth(name, "", [Finding(name, str(error))])


class _Doctor:
    """Checks and fixes of one sweep.

    Args:
        store: The sweep's folder.
        holder: Holder of its lease.
        timing: Times of the lease's protocol.
    """

    def __init__(self, store: SweepStore, holder: LeaseHolder, timing: Timing) -> None:
        self.store, self.holder, self.timing = store, holder, timing

    def examine(self, *, fix: bool) -> SweepHealth:
        """Check the sweep, and fix problems where that is safe and wanted."""
        name = self.store.sweep
        try:
            self.store.check_format()
        except FormatTooNew as error:
            return SweepHealth(name, "", [Finding(sweep_paths.SPEC, str(error))])
        alive = self.holder.is_alive()
        findings = [*self._dead_lease(), *self._check(alone=not alive)]
        if not fix or not any(finding.fix for finding in findings):
            return SweepHealth(name, self._facts(alive), findings)
        if alive:
            problem = f"nothing was fixed, as the sweep is being run by {self.holder.name}"
            findings.append(Finding(lease.NAME, problem, "stop it or wait"))
            return SweepHealth(name, self._facts(alive), findings)
        try:
            with Lease(self.store.files, self.timing) as held:
                self.store.files = self.store.files.with_patience(Patience(held.check))
                mended, findings = self._mend()
        except StoreError as error:
            findings.append(Finding(lease.NAME, f"nothing was fixed: {error}"))
            return SweepHealth(name, self._facts(alive), findings)
        return SweepHealth(name, self._facts(alive), findings, [*self._dead_lease(), *mended])

    def _dead_lease(self) -> list[Finding]:
        finding = self.holder.finding()
        return [finding] if finding else []

    def _facts(self, alive: bool) -> str:
        files = self.store.files
        driver = f"being run by {self.holder.name}" if alive else "no driver"
        counts = f"{counted(len(files.names('runs', '.parquet')), 'file')} of rows, "
        counts += counted(len(files.folders("checkpoints")), "unfinished pack")
        return f"{counts}, {driver}"

    def _mend(self) -> tuple[list[Finding], list[Finding]]:
        """Fix problems and check again, until there is nothing left to fix.

        Returns:
            The problems that were fixed, and those that remain.
        """
        tried: dict[str, Finding] = {}
        errors: list[Finding] = []
        findings = self._check(alone=True)
        for _ in range(ROUNDS):
            fresh = [finding for finding in findings if finding.fix and finding.text not in tried]
            if not fresh:
                break
            for finding in fresh:
                tried[finding.text] = finding
                errors += _fixed(finding)
            findings = self._check(alone=True)
        remaining = {finding.text for finding in findings}
        mended = [finding for text, finding in tried.items() if text not in remaining]
        return mended, [*findings, *errors]

    def _check(self, *, alone: bool) -> list[Finding]:
        """Run all checks.

        Args:
            alone: Whether no driver changes the files meanwhile; otherwise, checks of files that it
                may be changing are left out.
        """
        files = self.store.files
        damages = content.damaged(content.still_damaged(files, integrity.verify(files)))
        checks: dict[str, Check] = {
            sweep_paths.SPEC: lambda: content.spec(files),
            files.uri: lambda: content.findings(files, damages.values()),
        }
        if alone:
            checks["merging"] = lambda: content.merge(files)
            checks["removing"] = lambda: content.removing(files)
        findings = [one for where, check in checks.items() for one in findings_of(where, check)]
        findings += self._check_runs(damages, findings, alone=alone)
        if alone:
            findings += findings_of("hidden files", lambda: leftovers.written_aside(files))
        if alone and not findings:  # else the files that this needs may be damaged
            findings += findings_of("checkpoints", lambda: leftovers.stale(self.store))
        return [*findings, *findings_of("damaged", lambda: leftovers.set_aside(files))]

    def _check_runs(
        self, damages: Collection[str], before: Sequence[Finding], *, alone: bool
    ) -> list[Finding]:
        """Check rows, and the checkpoints and curves that must agree with them.

        Args:
            damages: Names of damaged files.
            before: Findings of earlier checks.
            alone: Whether no driver changes the files meanwhile.
        """
        files = self.store.files
        known: list[rows.Row] = []

        def read() -> Iterator[Finding]:
            known.extend(rows.read(self.store, damages))
            if alone:
                yield from rows.findings(self.store, known)

        findings = findings_of("runs", read)
        if not known and findings:  # an incomplete merge would be reported twice
            is_known = any(finding.where == "merging" for finding in before)
            return [] if is_known else findings
        ended = rows.kept(known)
        if alone and not any(name.startswith("runs/") for name in damages):
            finished = {row.run_id for row in ended if row.status != "failed"}
            leftover = lambda: content.checkpoints(files, damages, finished)  # noqa: E731
            findings += findings_of("checkpoints", leftover)
            findings += findings_of("curves", lambda: curves.orphans(files))
        complete = lambda: curves.findings(files, ended, damages, alone=alone)  # noqa: E731
        return [*findings, *findings_of("curves", complete)]


def _fixed(finding: Finding) -> list[Finding]:
    """Fix a problem, and return a finding if that fails."""
    try:
        if finding.fix is not None:
            finding.fix()
    except LeaseLost:
        raise
    except (StoreError, FileNotFoundError) as error:
        return [Finding(finding.where, f"could not be fixed: {error}")]
    return []
