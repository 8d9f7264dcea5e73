"""Sizes at which programs train fastest, as measured: `pack_sizes.json`."""

from collections.abc import Mapping
from typing import Any

from raysweep.store import json_file, sweep_paths
from raysweep.store.files import Files

NAME = sweep_paths.PACK_SIZES
_DIGEST = "sha256"


def read(files: Files) -> dict[str, dict[str, Any]]:
    """Return the measurements by program and device.

    Raises:
        DamagedFile: If the content is not what was written.
    """
    return json_file.read_json(files, NAME, _sizes, "sizes of packs") or {}


def write(files: Files, sizes: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the file."""
    files.write(NAME, json_file.with_digest(sizes, _DIGEST))


def _sizes(data: Any) -> dict[str, dict[str, Any]]:
    json_file.check_digest(json_file.mapping(data), required=True, key=_DIGEST)
    return {key: json_file.mapping(size) for key, size in data.items() if key != _DIGEST}
