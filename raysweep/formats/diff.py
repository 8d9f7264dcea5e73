"""The differences between two sweeps as tables, or as data."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysweep.formats.entries import entry_text, number
from raysweep.formats.grid import NONE, Cell, Grid, row
from raysweep.formats.markup import as_html, as_markdown
from raysweep.formats.tables import setting_text
from raysweep.formats.text import as_text
from raysweep.results.compare import ArmDifference, Difference


def diff_grids(difference: Difference) -> list[Grid]:
    """Return the settings, the selected configurations and the means that differ."""
    return [_settings(difference), _configurations(difference), _means(difference)]


def _settings(difference: Difference) -> Grid:
    first, second = difference.sweeps
    rows = [
        row([change.name, change.first or None, change.second or None])
        for change in difference.settings
    ]
    if not rows:
        rows = [row(["the files have the same settings", "", ""])]
    caption = f"Settings that differ between {first} and {second}"
    return Grid(caption, ("setting", first, second), tuple(rows), long=frozenset({0, 1, 2}))


def _configurations(difference: Difference) -> Grid:
    first, second = difference.sweeps
    rows = []
    for arm in difference.arms:
        keys = [
            key
            for key in dict.fromkeys([*arm.settings[0], *arm.settings[1]])
            if arm.settings[0].get(key) != arm.settings[1].get(key)
        ]
        if keys and None not in arm.entries:
            texts = [_texts(keys, settings) for settings in arm.settings]
            rows.append(row([*_labels(arm), *texts]))
    if not rows:
        rows.append(row(["none differ", "", "", ""]))
    caption = "Searched settings of the selected configurations, where they differ"
    head = (difference.row_kind, "task", first, second)
    return Grid(caption, head, tuple(rows), long=frozenset({2, 3}), keys=2)


def _labels(arm: ArmDifference) -> list[str]:
    """Return the labels of estimator and task; both where the second sweep has another one."""
    labels = arm.estimator, arm.task
    pairs = zip(labels, arm.renamed or labels, strict=True)
    return [first if first == second else f"{first} → {second}" for first, second in pairs]


def _texts(keys: Sequence[str], settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key.partition('.')[2]} {setting_text(settings[key])}" for key in keys if key in settings
    )


def _means(difference: Difference) -> Grid:
    first, second = difference.sweeps
    head = (difference.row_kind, "task", first, second, "change", "p")
    rows = tuple(_mean_row(arm) for arm in difference.arms)
    notes: tuple[str, ...] = (
        f"change: mean of {second} minus mean of {first}",
        "p: two-sided t-test, paired where both have the same seeds; not corrected for the number "
        "of rows",
    )
    if any(arm.renamed for arm in difference.arms):
        notes = (f"→: the label in {second}, of an arm with the same settings or runs", *notes)
    caption = f"{difference.metric}, mean ± std (n) over seeds"
    return Grid(caption, head, rows, notes, frozenset({2, 3, 4, 5}), keys=2)


def _mean_row(arm: ArmDifference) -> tuple[Cell, ...]:
    cells = [
        Cell("no such arm" if entry is None else entry_text(entry), entry=entry)
        for entry in arm.entries
    ]
    spreads = [entry.spread for entry in arm.entries if entry is not None and entry.spread]
    change = NONE
    if arm.change is not None:
        text = number(arm.change, min(spreads, default=None))[0]
        change = text if text.startswith("-") else f"+{text}"
    p_value = NONE if arm.p_value is None else f"{arm.p_value:.2g}"
    return (*row(_labels(arm)), *cells, *row([change, p_value]))


def as_json(difference: Difference) -> str:
    """Return the differences as one JSON object, unrounded."""
    return json.dumps(dataclasses.asdict(difference), indent=2, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Difference], str]] = {
    "text": lambda difference: as_text(diff_grids(difference)),
    "markdown": lambda difference: as_markdown(diff_grids(difference)),
    "html": lambda difference: as_html(diff_grids(difference)),
    "json": as_json,
}
