"""The choice of an output format by its name."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from raysweep.errors import SpecError, one_of

T = TypeVar("T")


def known(formats: Mapping[str, Callable[[T], str]], name: str) -> Callable[[T], str]:
    """Return the function that makes a format.

    Raises:
        SpecError: If there is no such format.
    """
    if name not in formats:
        raise SpecError(one_of(name, formats), field="format")
    return formats[name]
