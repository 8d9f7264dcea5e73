"""Configurations that were to be trained anew, with their settings: `again.json`.

A search that proposes its configurations does not forget those whose rows were removed.
"""

import json
from collections.abc import Mapping
from typing import Any

from raysweep.store import json_file
from raysweep.store.files import Files

NAME = "again.json"
_DIGEST = "sha256"


def read(files: Files) -> dict[str, dict[str, Any]]:
    """The settings of each configuration, by its id.

    Raises:
        DamagedFile: If the file is not what was written; those of older versions have no digest.
    """
    return json_file.read_json(files, NAME, _configurations, "configurations") or {}


def write(files: Files, configurations: Mapping[str, Mapping[str, Any]]) -> None:
    """Puts the file in place of the present one."""
    plain = json.loads(json.dumps(configurations))  # tuples as what they are read as
    files.write(NAME, json_file.with_digest(plain, _DIGEST))


def _configurations(data: Any) -> dict[str, dict[str, Any]]:
    json_file.check_digest(json_file.mapping(data), required=False, key=_DIGEST)
    return {key: json_file.mapping(own) for key, own in data.items() if key != _DIGEST}
