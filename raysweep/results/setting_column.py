"""One setting of many configurations, as a column."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysweep.store import schema
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Fixed, Plain, Range, Value, same

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


class SettingColumn:
    """One setting of many configurations.

    Args:
        values: Values as stored.
        is_json: Whether the values are JSON text.
    """

    def __init__(self, values: pa.Array, *, is_json: bool) -> None:
        self.values, self.is_json = values, is_json

    @functools.cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """Values of a setting of numbers, NaN where a configuration has none; None for others."""
        kind = self.values.type
        if self.is_json or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            return None
        return np.array(self.values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)

    @property
    def is_floating(self) -> bool:
        """Whether the values are floating-point numbers."""
        return pa.types.is_floating(self.values.type)

    @functools.cached_property
    def distinct(self) -> tuple[list[Value], NDArray[np.int32]]:
        """Distinct decoded values, and the index among them of each configuration's value."""
        values = self.values
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode(null_encoding="encode")
        known = values.dictionary.to_pylist()
        codes = numbers(values.indices.fill_null(len(known))).astype(np.int64)
        used = np.flatnonzero(np.bincount(codes, minlength=len(known) + 1))
        indices = np.zeros(len(known) + 1, np.int64)
        indices[used] = np.arange(len(used))
        stored = [None if code == len(known) else known[code] for code in used.tolist()]
        decoded = [schema.decode_json(value) if self.is_json else value for value in stored]
        return decoded, indices.astype(np.int32)[codes]

    def inside(self, domain: Plain) -> Mask:
        """Return the mask of the configurations whose value is in the domain."""
        if (
            isinstance(domain, Range)
            and domain.step is None
            and pa.types.is_floating(self.values.type)
        ):
            numbers = np.array(self.values.to_numpy(zero_copy_only=False), np.float64)
            inside = (domain.low <= numbers) & (numbers <= domain.high)
            return inside & (numbers == np.floor(numbers)) if domain.whole else inside
        stored, indices = self.distinct
        holds = [domain.contains(value) for value in stored]
        if isinstance(domain, Fixed):  # ids distinguish `1.0` from `1`
            fixed = canonical_json(domain.value)
            holds = [
                held and canonical_json(value) == fixed
                for held, value in zip(holds, stored, strict=True)
            ]
        return _spread(holds, indices)

    def among(self, wanted: Sequence[Value]) -> Mask:
        """Return the mask of the configurations whose value is one of the wanted ones."""
        stored, indices = self.distinct
        return _spread([any(same(value, one) for one in wanted) for value in stored], indices)


def _spread(holds: Sequence[bool], indices: NDArray[np.int32]) -> Mask:
    """Return the mask for every configuration from that for distinct values; a scalar for all."""
    return np.array(holds[0] if len(set(holds)) == 1 else np.array(holds, bool)[indices])


def encoded(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Return a column of text as codes into one dictionary."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.unify_dictionaries().combine_chunks()


def numbers(column: pa.Array) -> NDArray[Any]:
    """Return a column without nulls as a NumPy array."""
    return column.to_numpy(zero_copy_only=False)
