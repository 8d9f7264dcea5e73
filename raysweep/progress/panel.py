"""Panel of the progress display in a terminal: the line, a bar, the arms and the packs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raysweep.progress.view import View
from raysweep.sweep.packs import Pack
from raysweep.text import counted, one_line

if TYPE_CHECKING:
    from raysweep.scheduling.arm_search import ArmSearch

MAX_ARMS = 24
MAX_PACKS = 8
BAR = 72  # characters
LEAST_ARMS = 3  # rows of arms in a low terminal
LEAST = 8  # characters of the name of an arm
GAP = 2  # characters between two columns


class Panel:
    """Panel that keeps its height and the widths of its columns while packs come and go.

    Numbers and ids of packs are never cut; where there is not enough room, names of arms are.

    Args:
        view: State of the progress.
    """

    def __init__(self, view: View) -> None:
        self.view, self.schedule = view, view.schedule
        self.notice = ""  # a line to show, such as that the session stops
        self._pack_rows = 0  # the most so far
        self._width = 0
        self._widths: dict[str, list[int]] = {}  # the largest so far, by head of the second column

    def render(self, width: int, height: int) -> Group:
        """Return the panel for a terminal of so many columns and rows."""
        view, self._width = self.view, width
        head = [view.head(), view.left()]
        lines = [Text(", ".join(filter(None, head)), style="bold")]
        if notes := list(filter(None, [*view.trouble(), self.notice])):
            lines.append(Text(", ".join(notes)))
        packs = view.training()[:MAX_PACKS]
        self._pack_rows = max(self._pack_rows, len(packs))
        # The last row of the terminal has the cursor; heads and the bar take three rows more.
        room = height - 1 - len(lines) - 3 - self._pack_rows
        parts: list[RenderableType] = [*lines, self._bar(width), *self._arms(room)]
        return Group(*parts, *([self._packs(packs)] if self._pack_rows else []))

    def _bar(self, width: int) -> Table:
        done = self.view.work.share(self.view.packs)
        grid = Table.grid()  # a bar alone does not end its line
        grid.add_row(ProgressBar(total=1.0, completed=done, width=min(width, BAR)))
        return grid

    def _arms(self, room: int) -> list[RenderableType]:
        """Return the table of arms; where not all have room, of those that have begun first."""
        arms = self.schedule.arms
        shown = min(len(arms), MAX_ARMS, max(LEAST_ARMS, room))
        if shown < len(arms):
            shown = max(LEAST_ARMS, shown - 1)
            order = sorted(range(len(arms)), key=lambda index: (not arms[index].open, index))
            arms = [arms[index] for index in sorted(order[:shown])]
        heads = ["arm", "configurations", f"best {self.schedule.spec.select.metric}"]
        table = self._table(heads, [self._arm(search) for search in arms])
        if (more := len(self.schedule.arms) - len(arms)) > 0:
            return [table, Text(f"and {counted(more, 'more arm')}", style="dim")]
        return [table]

    def _arm(self, search: "ArmSearch") -> tuple[str, str, str]:
        results = list(search.closed.values())
        values = [result.values[0] for result in results if result.values]
        best = min if self.schedule.spec.select.mode == "min" else max
        wanted = search.study.wanted or len(search.open) + len(search.closed)
        shown = f"{best(values):.4g}" if values else "–"
        return search.arm.name, f"{len(search.closed)} of {wanted}", shown

    def _packs(self, packs: Sequence[Pack]) -> Table:
        """Return the packs in training, with their step and their last loss."""
        reports = self.view.packs
        names = {reports[pack.pack_id].get("metric") for pack in packs if pack.pack_id in reports}
        names.discard(None)
        name = names.pop() if len(names) == 1 else None
        rows = [self._pack(pack, name) for pack in packs]
        rows += [("", "", "", "")] * (self._pack_rows - len(packs))
        return self._table(["arm", "pack", "step", f"last {name or 'loss'}"], rows)

    def _pack(self, pack: Pack, metric: str | None) -> tuple[str, str, str, str]:
        """Return the row of a pack; the loss has its name if it is not that of all packs."""
        progress = self.view.packs.get(pack.pack_id)
        step, loss = "starting", "–"
        if progress is not None:
            steps = f"{progress['steps']:,}"
            step = f"{progress['step']:>{len(steps)},} of {steps}"
            if progress.get("value") is not None:
                loss = f"{progress['value']:.5g}"
                loss = loss if metric else f"{progress['metric']} {loss}"
        arm = f"{pack.arm[1]} · {pack.arm[0]} ({counted(len(pack.runs))})"
        return arm, pack.pack_id, step, loss

    def _table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        """Return a table whose columns never become narrower, and whose first one is cut."""
        cells = [[one_line(cell) for cell in row] for row in [heads, *rows]]
        known = self._widths.get(heads[1], [0] * len(heads))
        widths = [
            max([width, *map(cell_len, column)])
            for width, column in zip(known, zip(*cells, strict=True), strict=True)
        ]
        self._widths[heads[1]] = widths
        room = self._width - sum(widths[1:]) - GAP * (len(heads) - 1)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for head, width in zip(
            cells[0], [max(LEAST, min(widths[0], room)), *widths[1:]], strict=True
        ):
            table.add_column(Text(head), no_wrap=True, overflow="ellipsis", width=width)
        for row in cells[1:]:
            table.add_row(*map(Text, row))
        return table
