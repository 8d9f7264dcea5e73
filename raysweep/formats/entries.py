"""Texts of the entries of a result table: numbers, rounded as their spread allows."""

import math

from raysweep.results.table import Entry


def number(mean: float, spread: float | None) -> tuple[str, str]:
    """Return the texts of mean and spread, rounded to the digits that the spread leaves meaningful.

    Without a spread, the mean has five significant digits, zeros at the end included, so that
    those of a column have equally many, and the second text is empty.
    """
    if spread is None:
        return f"{mean:#.5g}".removesuffix("."), ""
    if spread == 0 or not math.isfinite(mean) or not math.isfinite(spread):
        return f"{mean:.5g}", f"{spread:.2g}"
    last = _exponent(spread, 1) - 1  # power of ten of the last digit that means something
    if last < -10 or abs(mean) >= 1e9:
        digits = max(1, _exponent(mean, 4) - last) if mean else 1
        return f"{mean:.{min(digits, 16)}e}", f"{spread:.1e}"
    return f"{mean:.{max(0, -last)}f}", f"{spread:.{max(0, -last)}f}"


def mean_and_spread(mean: float, entry: Entry) -> tuple[str, str]:
    """Return the texts of an entry's mean, and of its spread if it has one; see `number`."""
    return (f"{mean:.5g}", "") if entry.is_rounded else number(mean, entry.spread)


def _exponent(value: float, digits: int) -> int:
    """Return the power of ten of the first digit after rounding: -1 for .0996 and one digit."""
    return int(f"{value:.{digits}e}".partition("e")[2])


def interval(entry: Entry) -> tuple[str, str, str]:
    """Return the texts of mean, low and high end of an entry that has an interval."""
    if entry.mean is None or entry.interval is None:
        raise ValueError(f"expected an entry with an interval, got {entry}")
    low, high = entry.interval.low, entry.interval.high
    half = (high - low) / 2
    shown = [number(value, half)[0] for value in (entry.mean, low, high)]
    return shown[0], shown[1], shown[2]


def entry_text(entry: Entry) -> str:
    """Return an entry as plain text."""
    if entry.mean is None:
        return entry.word
    if entry.interval is not None:
        mean, low, high = interval(entry)
        text = f"{mean} [{low}, {high}]"
    else:
        mean, spread = mean_and_spread(entry.mean, entry)
        text = f"{mean} ± {spread}" if spread else mean
    if entry.n is not None:
        text += f" ({entry.n})"
    return text + (" ?" if entry.provisional else "")
