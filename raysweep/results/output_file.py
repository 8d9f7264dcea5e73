"""Files that a user asked for: checks before results are read, and writing them whole."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from raysweep.errors import SpecError

FIGURES = (".png", ".pdf", ".svg", ".html", ".json")  # suffixes of files of figures
PAGES = (".html",)  # of reports


def check_folder(path: Path, field: str = "path") -> None:
    """Check that the folder of a file exists.

    Args:
        path: The file to be written.
        field: Name of the argument that gave the path.

    Raises:
        SpecError: If there is no such folder.
    """
    if not path.parent.is_dir():
        raise SpecError(
            f"cannot write {str(path)!r}: the folder {str(path.parent)!r} does not exist; "
            "create it first",
            field=field,
        )


def check_suffix(path: Path, suffixes: Sequence[str], field: str = "path") -> None:
    """Check that a file's name ends in one of some suffixes, and that its folder exists.

    Args:
        path: The file to be written.
        suffixes: The suffixes, with their dots.
        field: Name of the argument that gave the path.

    Raises:
        SpecError: If it ends in another one, or there is no such folder.
    """
    if path.suffix.lower() not in suffixes:
        raise SpecError(
            f"expected a name that ends in {', '.join(suffixes)}, got {str(path)!r}", field=field
        )
    check_folder(path, field)


def check_new(path: Path) -> None:
    """Check that a file does not exist, and that its folder does.

    Raises:
        SpecError: If the file exists, or its folder does not.
    """
    if path.exists():
        raise SpecError(
            f"{str(path)!r} already exists; remove it, or choose another name", field="path"
        )
    check_folder(path)


@contextlib.contextmanager
def written_whole(path: Path, *errors: type[Exception], field: str = "path") -> Iterator[Path]:
    """Yield a temporary file that is renamed to the path when complete, and removed on an error.

    Args:
        path: The file to be written.
        errors: Errors that mean that it cannot be written, besides `OSError`.
        field: Name of the argument that gave the path.

    Raises:
        SpecError: If the file cannot be written.
    """
    caught: tuple[type[Exception], ...] = (OSError, *errors)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.touch(exist_ok=False)
        yield aside
        aside.replace(path)
    except caught as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise SpecError(f"cannot write {str(path)!r}: {reason}", field=field) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
