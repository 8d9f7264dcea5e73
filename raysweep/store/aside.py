"""The folder `damaged/`, for files that nothing should read any more."""

from typing import TYPE_CHECKING

from raysweep.store import sweep_paths

if TYPE_CHECKING:
    from raysweep.store.files import Files


def set_aside(files: "Files", name: str) -> str:
    """Move a file to `damaged/`, where nothing reads it, and return its new name.

    Args:
        files: The sweep's folder.
        name: Name of the file in that folder.
    """
    aside, number = sweep_paths.damaged(name), 1
    while files.exists(aside):
        number += 1
        aside = sweep_paths.damaged(f"{name}.{number}")
    files.move(name, aside)
    return aside
