"""Version of the format of a sweep's files: `format` in its `spec.json`, which every reader opens.

    1  no number in `spec.json`; no file has a digest
    2  Parquet files, states, manifests and specs have digests, Parquet pages have checksums
    3  settings in `spec.json` may have steps, and branches by the values of others

A change gets a new number if earlier versions of raysweep would misread or damage its files. New
files, columns or keys that readers may ignore need none. A version of raysweep reads every format
up to its own; a file of an older format remains until something else rewrites it, so a sweep may
hold files of several formats. `tests/assets/stores/` has a store of every format, written by
`make.py` there when the format was new.
"""

from typing import Any

from raysweep.errors import FormatTooNew

FORMAT = 3


def check_format(spec: Any, where: str) -> None:
    """Check that this version can read a sweep.

    Args:
        spec: Content of `spec.json`.
        where: Address of the sweep.

    Raises:
        FormatTooNew: If the sweep has a later format than this version knows.
        ValueError: If the format is not a positive whole number.
    """
    number = spec.get("format", 1)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"format {number!r}")
    if number > FORMAT:
        raise FormatTooNew(
            f"cannot read {where}: expected a sweep of format {FORMAT} or older, got format "
            f"{number}, which a later version of raysweep wrote; upgrade raysweep"
        )
