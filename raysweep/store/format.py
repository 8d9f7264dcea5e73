"""The version of what a store holds: `format` in a sweep's `spec.json`, which every reader opens.

    1  no number is written; no file has a digest
    2  Parquet files, states, manifests and specs have digests, Parquet pages have checksums

The rule: a number is added where an earlier raysweep would misread, or damage, what is written
from then on. What only adds files, columns or keys that readers may ignore adds no number. A later
raysweep reads every format up to its own; a file of an older format stays as it is until something
else writes it again, so a sweep may hold files of several. For every format there is
a store in `tests/assets/stores/`, written by `make.py` there when the format was new.
"""

from typing import Any

from raysweep.errors import FormatTooNew

FORMAT = 2


def check_format(spec: Any, where: str) -> None:
    """Refuses a sweep that only a later raysweep can read.

    Args:
        spec: Content of `spec.json`.
        where: Address of the sweep.

    Raises:
        FormatTooNew: If the sweep has a later format than this version knows.
        ValueError: If the format is no number of a format.
    """
    found = spec.get("format", 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"format {found!r}")
    if found > FORMAT:
        raise FormatTooNew(
            f"cannot read {where}: expected a sweep of format {FORMAT} or older, got format "
            f"{found}, which a later raysweep wrote; upgrade raysweep"
        )
