"""Sets files aside, where nothing reads them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raysweep.store.files import Files


def set_aside(files: "Files", name: str) -> str:
    """Moves a file below `damaged/`, where nothing reads it; its new name.

    Args:
        files: The sweep's folder.
        name: Name of the file below it.
    """
    aside, number = f"damaged/{name}", 1
    while files.exists(aside):
        number += 1
        aside = f"damaged/{name}.{number}"
    files.move(name, aside)
    return aside
