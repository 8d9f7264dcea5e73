"""Sweeps of a store by name, and the content of a store without a sweep."""

import os

from raysweep.errors import SpecError, nearest
from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.sweep.spec import NAME
from raysweep.text import some


def list_sweeps(store: Files) -> list[str]:
    """Return the names of a store's sweeps.

    Raises:
        StoreError: If the store cannot be reached.
    """
    return [name for name in list_folders(store) if NAME.fullmatch(name)]


def list_folders(store: Files) -> list[str]:
    """Return the folders of a store that hold a sweep, even if a sweep cannot have their name.

    Raises:
        StoreError: If the store cannot be reached.
    """
    folders = store.folders()
    if not folders:
        store.check_bucket()
    return [name for name in folders if store.below(name).exists(sweep_paths.SPEC)]


def content_of(store: Files) -> str:
    """Return what a store without a sweep holds, as a clause.

    Raises:
        StoreError: If the store cannot be reached.
    """
    if store.is_local and not os.path.exists(store.root):
        return "there is no such folder"
    if store.exists(sweep_paths.SPEC):
        parent, _, name = store.uri.rstrip("/").rpartition("/")
        return f"that is the folder of the sweep {name}, whose store is {parent or '/'}"
    if others := [*(f"{name}/" for name in store.folders()), *store.names("")]:
        return f"the store has no sweep, but {some(others)}"
    return "the store is empty"


def check_name(store: Files, sweep: str) -> None:
    """Check that a sweep may have a name.

    Raises:
        SpecError: If it may not, with the names of the store's sweeps.
        StoreError: If it may not, and the store cannot be reached.
    """
    if not NAME.fullmatch(sweep):
        raise SpecError(
            "expected a sweep's name of at most 64 lower-case letters, digits, '.', '_' and '-', "
            f"got {sweep!r}{nearest(sweep, list_sweeps(store))}"
        )


def no_such_sweep(store: Files, sweep: str, known: list[str]) -> SpecError:
    """Return the error for the name of a sweep that a store lacks.

    Args:
        store: Files of the store.
        sweep: The name that was given.
        known: Names of the sweeps of the store.
    """
    hint = nearest(sweep, known) or f"; {content_of(store)}"
    return SpecError(f"expected a sweep in {store.uri}, got {sweep!r}{hint}")
