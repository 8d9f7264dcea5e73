"""Check of result files' digests by readers, where it is cheap."""

import os
from collections.abc import Sequence

import pyarrow as pa

from raysweep.store.files import Files

MOST_FILES = 1024
MOST_BYTES = 64 * 2**20


class DigestCheck:
    """Check of files before they are read together; a file that has not changed is checked once.

    Checksums of pages do not cover a file's footer. A digest does, but requires reading the whole
    file, so only local files are checked, and only up to 64 MiB, which take a tenth of a second.

    Args:
        files: The sweep's folder.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._known: dict[str, tuple[int, int]] = {}

    def check(self, names: Sequence[str]) -> pa.Schema | None:
        """Check all files, and return the schema of the first; None if they are too many.

        Raises:
            DamagedFile: If one of them is not what was written.
            FileNotFoundError: If one of them was removed.
        """
        if not self.files.is_local or len(names) > MOST_FILES:
            return None
        stats = {name: os.stat(self.files.path(name)) for name in names}
        if sum(stat.st_size for stat in stats.values()) > MOST_BYTES:
            return None
        for name, stat in stats.items():
            version = (stat.st_mtime_ns, stat.st_size)
            if self._known.get(name) != version:
                if not self.files.check_digest(name):  # from an older version, or not from raysweep
                    self.files.check_shape(name, self.files.read_schema(name))
                self._known[name] = version
        return self.files.read_schema(names[0])
