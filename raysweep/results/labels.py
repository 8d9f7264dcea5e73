"""Which of a sweep file's labels an option means."""

from collections.abc import Sequence

from raysweep.errors import SpecError, nearest


def chosen(wanted: str | Sequence[str], known: tuple[str, ...], field: str) -> tuple[str, ...]:
    """The labels asked for, in the file's order; all if none are.

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
