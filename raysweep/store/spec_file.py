"""Stored spec of a sweep: `spec.json`, which every command that reads the sweep opens."""

import contextlib
import json
from typing import Any

from raysweep.store import json_file, schema, sweep_paths
from raysweep.store.files import Files
from raysweep.store.format import FORMAT, check_format
from raysweep.sweep.spec import Spec

NAME = sweep_paths.SPEC
HOLD = "labels_hold"


def read(files: Files) -> Spec | None:
    """Return the spec of the last session, or None if there is no file.

    Raises:
        DamagedFile: If the content is not what was written; files of older versions have no digest.
        FormatTooNew: If a later version of raysweep wrote the file.
    """

    def build(data: Any) -> Spec:
        check_format(data, files.uri)
        json_file.check_digest(data, required=False)
        spec = Spec.from_json(data)
        schema.runs_schema(spec)
        return spec

    return json_file.read_json(files, NAME, build, "a sweep's spec")


def write(files: Files, spec: Spec) -> None:
    """Write the spec, which readers of the store then use."""
    first = not files.exists(NAME) and not files.names("runs", ".parquet")
    held = first or labels_hold(files, spec)
    files.write(sweep_paths.FILE, spec.text.encode())
    files.write(NAME, json_file.with_digest({"format": FORMAT, **spec.to_json(), HOLD: held}))


def labels_hold(files: Files, spec: Spec) -> bool:
    """Return whether the stored labels of the spec's runs are the present ones.

    They are if every session had all arms of those before it, unchanged, and so has the spec.
    """
    with contextlib.suppress(*json_file.WRONG):
        stored = json.loads(files.read(NAME) or b"{}")
        json_file.check_digest(stored, required=False)
        arms = json.loads(json.dumps(spec.to_json()["arms"]))
        return bool(stored.get(HOLD)) and all(arm in arms for arm in stored["arms"])
    return False
