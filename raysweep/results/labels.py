"""Labels of a sweep file, as an option selects them."""

from collections.abc import Sequence

from raysweep.errors import SpecError, nearest


def chosen(wanted: str | Sequence[str], known: tuple[str, ...], field: str) -> tuple[str, ...]:
    """Return the wanted labels, in the file's order; all labels if none is wanted.

    Args:
        wanted: One label or several; empty for all.
        known: Labels of the sweep file.
        field: Name of the argument, for the error.

    Raises:
        SpecError: If the file has no such label.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            raise SpecError(
                f"expected a label of the sweep file, got {name!r}{nearest(name, known)}",
                field=field,
            )
    return tuple(label for label in known if label in names) if names else known
