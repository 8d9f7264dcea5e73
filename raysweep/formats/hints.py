"""Hints to users on what makes reading a sweep slow."""

from raysweep.store.sweep_store import SweepStore

MANY_FILES = 2000  # so many take seconds to read


def hints(store: SweepStore) -> list[str]:
    """Return a line that recommends `raysweep compact` if rows are in very many files."""
    count = len(store.names_of_rows())
    if count <= MANY_FILES:
        return []
    return [
        f"{store.sweep}: reading {count} files of rows takes seconds; "
        f"`raysweep compact {store.sweep}` merges them"
    ]
