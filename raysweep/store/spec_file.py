"""The spec of a sweep as its store has it: `spec.json`, which every reading command opens."""

from typing import Any

from raysweep.store import json_file, schema
from raysweep.store.files import Files
from raysweep.store.format import FORMAT, check_format
from raysweep.sweep.spec import Spec

NAME = "spec.json"


def read(files: Files) -> Spec | None:
    """The spec as last run, or None if there is none.

    Raises:
        DamagedFile: If the file is not what was written; those of older versions have no digest.
        FormatTooNew: If a later raysweep wrote it.
    """

    def build(data: Any) -> Spec:
        check_format(data, files.uri)
        json_file.check_digest(data, required=False)
        spec = Spec.from_json(data)
        schema.runs_schema(spec)
        return spec

    return json_file.read_json(files, NAME, build, "a sweep's spec")


def write(files: Files, spec: Spec) -> None:
    """Makes the spec the one that readers of the store go by."""
    files.write("sweep.yaml", spec.text.encode())
    files.write(NAME, json_file.with_digest({"format": FORMAT, **spec.to_json()}))
