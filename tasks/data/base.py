"""Base of every data set: its source, its folder and its tensors."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float, Int, Real
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Data:
    """Examples as rows of values, which are in [0, 1] for images.

    Args:
        train: Training examples, `N D`.
        valid: Validation examples, `V D`; none if not asked for.
        test: Test examples, `M D`.
    """

    train: Float[Tensor, "N D"]
    valid: Float[Tensor, "V D"]
    test: Float[Tensor, "M D"]


@dataclasses.dataclass(frozen=True)
class Labels:
    """Classes of the examples, counted from 0.

    Args:
        train: Classes of the training examples.
        valid: Classes of the validation examples; none if not asked for.
        test: Classes of the test examples.
    """

    train: Int[Tensor, " N"]
    valid: Int[Tensor, " V"]
    test: Int[Tensor, " M"]


@dataclasses.dataclass(frozen=True)
class Source:
    """Source of a data set: its sizes, and functions that read and download it.

    Args:
        name: Name in a sweep file.
        train: Number of training examples.
        test: Number of test examples.
        features: Number of values per example, `D`.
        white: Largest value of a pixel as stored; None if the examples are no images, so that
            values are used as they are stored.
        read: Function from the data folder to stored values: `N D`, `V D` if any, `M D`.
        fetch: Function that downloads into the data folder what `read` needs, unless it is there.
        at_hand: Function that says whether the data folder has all that `read` needs; always True
            for a source that needs no files. Only where it returns False do processes wait for
            one another, so that one of them downloads.
        valid: Number of the data set's own validation examples.
        shape: Channels, height and width `C H W` of an image, whose values are a row in this
            order; empty if they are not known.
        classes: Number of classes; 0 for examples without labels.
        labels: Function from the data folder to classes, as many as `read` returns rows; None for
            examples without labels.
        can_download: Whether `fetch` can download what is missing.
        files_of: Name of the data set whose files it reads; empty for files of its own.
    """

    name: str
    train: int
    test: int
    features: int
    white: int | None
    read: Callable[[Path], tuple[Real[Tensor, "_ D"], ...]]
    fetch: Callable[[Path], None]
    at_hand: Callable[[Path], bool] = lambda root: True
    valid: int = 0
    shape: tuple[int, ...] = ()
    classes: int = 0
    labels: Callable[[Path], tuple[Int[Tensor, " _"], ...]] | None = None
    can_download: bool = True
    files_of: str = ""

    @property
    def is_grey(self) -> bool:
        """Whether examples are images with one value per pixel."""
        return self.white is not None and (not self.shape or self.shape[0] == 1)

    def check_validation(self, validation_examples: int) -> None:
        """Check that the data set has so many validation examples.

        Raises:
            ValueError: If it has not.
        """
        largest = self.valid or self.train - 1
        if not 0 <= validation_examples <= largest:
            raise ValueError(
                f"validation_examples must be in 0..{largest} for {self.name}, "
                f"got {validation_examples}"
            )

    def training_examples(self, validation_examples: int) -> int:
        """Return the number of examples that are left for training."""
        return self.train - (0 if self.valid else validation_examples)


def folder() -> Path:
    """Return the folder of the data sets: `$RAYSWEEP_DATA`, or `~/.cache/raysweep`."""
    return Path(os.environ.get("RAYSWEEP_DATA") or "~/.cache/raysweep").expanduser().absolute()


def not_at_hand(name: str, wanted: str, error: Exception) -> FileNotFoundError:
    """Return the error for files that are missing and cannot be downloaded.

    Args:
        name: Name of the data set.
        wanted: Names of the files and the folder they should be in.
        error: Error of the download.
    """
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return FileNotFoundError(
        f"{name} needs {wanted}, which are not there and could not be downloaded ({reason}); "
        "put them there, or name another data folder by `data` or RAYSWEEP_DATA"
    )
