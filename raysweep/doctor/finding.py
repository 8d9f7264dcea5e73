"""What a check finds, and how it is mended."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from raysweep.errors import StoreError
from raysweep.store.damage import reason_of
from raysweep.text import one_line

Check = Callable[[], Iterator["Finding"]]
MOST_NAMED = 5
MOST_IDS = 50  # in a command for the user


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        where: File or thing.
        problem: What is wrong with it.
        remedy: What the user does; empty if the fix is all there is to do.
        fixed: What the fix does, as a sentence: "it is removed".
        fix: Function that mends it under the sweep's lease; None where nothing safe can be done.
        is_note: Whether nothing is wrong, and the user may want to know.
    """

    where: str
    problem: str
    remedy: str = ""
    fixed: str = ""
    fix: Callable[[], object] | None = None
    is_note: bool = False

    @property
    def text(self) -> str:
        """The finding on one line."""
        parts = [f"{self.where}: {self.problem}"]
        if self.fix is not None:
            parts.append(f"with --fix {self.fixed}")
        return one_line("; ".join([*parts, *filter(None, [self.remedy])]))

    @property
    def mended_text(self) -> str:
        """The finding on one line, once it was mended."""
        after = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{self.where}: {self.problem}; mended: {self.fixed}{after}")


def looked_at(where: str, check: Check) -> list[Finding]:
    """What a check finds; that it could not look is a finding, too.

    Args:
        where: Thing that the check looks at.
        check: Function that gives findings.
    """
    found: list[Finding] = []
    try:
        found.extend(check())
    except StoreError as error:
        found.append(Finding(where, str(error)))
    except (pa.ArrowException, LookupError, ValueError, TypeError, FileNotFoundError) as error:
        # Files with other columns than raysweep's, or that went away.
        found.append(Finding(where, f"could not be looked at: {reason_of(error)}", "look again"))
    return found


def named(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def again(column: str, ids: Sequence[str]) -> str:
    """The command that trains runs anew.

    Args:
        column: `run_id` or `pack_id`.
        ids: Ids of runs, or of their packs.
    """
    listed = ", ".join(f"'{each}'" for each in ids[:MOST_IDS])
    text = f'`raysweep run FILE --again "{column} in ({listed})"` trains them anew'
    if len(ids) > MOST_IDS:
        text += f"; for the other {len(ids) - MOST_IDS}, ask the doctor again after that"
    return text
