"""Digests of result files, checked by readers where that is cheap."""

import os
from collections.abc import Sequence

import pyarrow as pa

from raysweep.store.files import Files

MOST_FILES = 1024
MOST_BYTES = 64 * 2**20


class DigestCheck:
    """Checks files before they are read together, each once as long as nobody writes it again.

    Checksums of pages leave a file's footer out. A digest does not, but is of the whole file; so
    only local files are checked, and only few or small ones: 64 MiB take a tenth of a second.

    Args:
        files: The sweep's folder.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._known: dict[str, tuple[int, int]] = {}

    def check(self, names: Sequence[str]) -> pa.Schema | None:
        """The schema of the first file, after all were checked; None if they are too many.

        Raises:
            DamagedFile: If one of them is not what was written.
            FileNotFoundError: If one went away.
        """
        if not self.files.is_local or len(names) > MOST_FILES:
            return None
        found = {name: os.stat(self.files.path(name)) for name in names}
        if sum(each.st_size for each in found.values()) > MOST_BYTES:
            return None
        for name, each in found.items():
            version = (each.st_mtime_ns, each.st_size)
            if self._known.get(name) != version:
                if not self.files.check_digest(name):  # an older version wrote it, or a stranger
                    self.files.check_shape(name, self.files.read_schema(name))
                self._known[name] = version
        return self.files.read_schema(names[0])
