"""What every data set shares: where files lie, and the tensors they become."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float, Real
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Data:
    """Images as rows of grey values in [0, 1].

    Args:
        train: `N D`.
        valid: `V D`, the data set's own images to validate with; mostly none.
        test: `M D`.
    """

    train: Float[Tensor, "N D"]
    valid: Float[Tensor, "V D"]
    test: Float[Tensor, "M D"]


@dataclasses.dataclass(frozen=True)
class Source:
    """What is known of a data set before it is read.

    Args:
        name: Its name in a sweep file.
        train: Number of training examples.
        test: Number of test examples.
        features: Values per example, `D`.
        white: The largest grey value as stored.
        read: From the data folder to stored grey values: `N D`, `V D` if there are any, `M D`.
        fetch: Downloads into the data folder what `read` needs, unless it is there.
        at_hand: Whether the data folder has all that `read` needs; of a source that needs none, it
            always has.
        valid: Number of the data set's own validation examples.
    """

    name: str
    train: int
    test: int
    features: int
    white: int
    read: Callable[[Path], tuple[Real[Tensor, "_ D"], ...]]
    fetch: Callable[[Path], None]
    at_hand: Callable[[Path], bool] = lambda root: True
    valid: int = 0


def folder() -> Path:
    """Where data sets lie and are downloaded to: `$RAYSWEEP_DATA`, or `~/.cache/raysweep`."""
    return Path(os.environ.get("RAYSWEEP_DATA") or "~/.cache/raysweep").expanduser().absolute()


def not_at_hand(name: str, wanted: str, error: Exception) -> FileNotFoundError:
    """What to say where files are neither there nor to be downloaded.

    Args:
        name: The data set's.
        wanted: The files, and where they should be.
        error: Why the download failed.
    """
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return FileNotFoundError(
        f"{name} needs {wanted}, which are not there and could not be downloaded ({reason}); "
        "put them there, or name another data folder by `data` or RAYSWEEP_DATA"
    )
