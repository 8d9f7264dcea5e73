"""Configurations to train again, with their settings: `again.json`.

With it, a search remembers the configurations that it proposed after their rows were removed.
"""

import json
from collections.abc import Mapping
from typing import Any

from raysweep.store import json_file, sweep_paths
from raysweep.store.files import Files

NAME = sweep_paths.AGAIN
_DIGEST = "sha256"


def read(files: Files) -> dict[str, dict[str, Any]]:
    """Return the settings of each configuration by its id.

    Raises:
        DamagedFile: If the content is not what was written; files of older versions have no digest.
    """
    return json_file.read_json(files, NAME, _configurations, "configurations") or {}


def write(files: Files, configurations: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the file."""
    plain = json.loads(json.dumps(configurations))  # tuples become lists, as they will be read
    files.write(NAME, json_file.with_digest(plain, _DIGEST))


def _configurations(data: Any) -> dict[str, dict[str, Any]]:
    json_file.check_digest(json_file.mapping(data), required=False, key=_DIGEST)
    return {key: json_file.mapping(settings) for key, settings in data.items() if key != _DIGEST}
