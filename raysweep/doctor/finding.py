"""Findings of checks, with their fixes."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from raysweep.errors import StoreError
from raysweep.store.damage import reason_of
from raysweep.text import one_line, some

Check = Callable[[], Iterator["Finding"]]
MOST_NAMED = 5
MOST_IDS = 50  # in a command for the user


@dataclasses.dataclass(frozen=True)
class Finding:
    """Problem or note that a check reports.

    Args:
        where: Name of the file or thing.
        problem: Description of the problem.
        remedy: Advice for the user; empty if the fix is enough.
        fixed: Effect of the fix, as a sentence: "it is removed".
        fix: Function that fixes the problem under the sweep's lease; None if no fix is safe.
        is_note: Whether this is not a problem, but may interest the user.
    """

    where: str
    problem: str
    remedy: str = ""
    fixed: str = ""
    fix: Callable[[], object] | None = None
    is_note: bool = False

    @property
    def text(self) -> str:
        """One line about the finding."""
        parts = [f"{self.where}: {self.problem}"]
        if self.fix is not None:
            parts.append(f"with --fix {self.fixed}")
        return one_line("; ".join([*parts, *filter(None, [self.remedy])]))

    @property
    def mended_text(self) -> str:
        """One line about the finding, after its fix."""
        after = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{self.where}: {self.problem}; mended: {self.fixed}{after}")


def findings_of(where: str, check: Check) -> list[Finding]:
    """Return the findings of a check; an error of the check is a finding, too.

    Args:
        where: Name of the thing to check.
        check: Function that yields findings.
    """
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except StoreError as error:
        findings.append(Finding(where, str(error)))
    except (pa.ArrowException, LookupError, ValueError, TypeError, FileNotFoundError) as error:
        # Files with other columns than raysweep's, or that were removed during the check.
        findings.append(Finding(where, f"could not be checked: {reason_of(error)}", "check again"))
    return findings


def named(names: Sequence[str]) -> str:
    """Return the first of some names, and the number of further ones, as text."""
    return some(names, MOST_NAMED)


def again(column: str, ids: Sequence[str]) -> str:
    """Return a text with the command that trains runs again.

    Args:
        column: `run_id` or `pack_id`.
        ids: Ids of runs, or of their packs.
    """
    listed = ", ".join(f"'{key}'" for key in ids[:MOST_IDS])
    text = f'`raysweep run FILE --again "{column} in ({listed})"` trains them again'
    if len(ids) > MOST_IDS:
        text += f"; for the other {len(ids) - MOST_IDS}, run `raysweep doctor` again after that"
    return text
