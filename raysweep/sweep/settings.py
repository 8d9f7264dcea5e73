"""Settings of a configuration: the values that its whole arm shares, and those that vary.

A sweep may have a million configurations of some fifty settings, most of which never vary. So
those are held, and written as JSON, once for each arm.
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Value = Any
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(data: Any) -> str:
    """Return the canonical text of data: sorted keys, no spaces, shortest floats, ASCII."""
    return _ENCODER.encode(data)


_text_of_word = functools.lru_cache(maxsize=1024)(canonical_json)


class SharedSettings:
    """Fixed settings of an arm, and the keys of those that vary between its configurations.

    Args:
        fixed: Values of the settings that do not vary, by key.
        keys: All keys, in the order of the settings.
        defaults: Declared default of every setting, by key.
    """

    def __init__(
        self, fixed: Mapping[str, Value], keys: Sequence[str], defaults: Mapping[str, Value]
    ) -> None:
        self.fixed, self.keys, self.defaults = fixed, tuple(keys), defaults
        self.varied = tuple(key for key in keys if key not in fixed)
        self.index = {key: index for index, key in enumerate(self.varied)}
        self._outside: dict[frozenset[str], tuple[int, ...]] = {}

    @functools.cached_property
    def changed(self) -> "_ChangedText":
        """Text of the settings that are not at their defaults."""
        return _ChangedText(self)

    @functools.cached_property
    def all(self) -> "_WholeText":
        """Text of all settings."""
        return _WholeText(self, self.keys)

    @functools.cached_property
    def training(self) -> "_WholeText":
        """Text of the settings of `training`."""
        return _WholeText(self, [key for key in self.keys if key.startswith("training.")])

    def outside(self, keys: frozenset[str]) -> tuple[int, ...]:
        """Return the indices of the varied settings that are not among these keys."""
        if keys not in self._outside:
            self._outside[keys] = tuple(i for key, i in self.index.items() if key not in keys)
        return self._outside[keys]


class Settings(Mapping[str, Value]):
    """Values of all settings of a configuration, by key.

    Args:
        shared: Settings that do not vary, and the keys of the others.
        values: Values of the varied settings, in the order of `shared.varied`.
    """

    __slots__ = ("shared", "values_that_vary")

    def __init__(self, shared: SharedSettings, values: Iterable[Value]) -> None:
        self.shared, self.values_that_vary = shared, tuple(values)

    @classmethod
    def of(cls, settings: Mapping[str, Value], defaults: Mapping[str, Value]) -> "Settings":
        """Return settings that share nothing."""
        if isinstance(settings, Settings):
            return settings
        return cls(SharedSettings(settings, list(settings), defaults), ())

    def __getitem__(self, key: str) -> Value:
        index = self.shared.index.get(key)
        return self.shared.fixed[key] if index is None else self.values_that_vary[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shared.keys)

    def __len__(self) -> int:
        return len(self.shared.keys)

    def __repr__(self) -> str:
        return repr(dict(self))

    @property
    def texts(self) -> list[str]:
        """Canonical JSON of each varied value."""
        return [value_text(value) for value in self.values_that_vary]

    @property
    def changed_text(self) -> str:
        """Canonical JSON of the settings that are not at their defaults."""
        return self.shared.changed.filled(self.texts)

    def sort_texts(self, *, short: bool = False) -> tuple[str, str]:
        """Return texts to sort by: of the settings of `training`, and of all settings.

        Args:
            short: Whether the texts are compared only with those of settings that share the same.
        """
        texts = self.texts
        both = self.shared.training, self.shared.all
        first, second = (one.short(texts) if short else one.filled(texts) for one in both)
        return first, second

    def texts_outside(self, keys: frozenset[str]) -> tuple[str, ...]:
        """Return the canonical JSON of each varied value whose key is not among these."""
        return tuple(
            value_text(self.values_that_vary[index]) for index in self.shared.outside(keys)
        )


def value_text(value: Value) -> str:
    """Return the canonical JSON of a value; most are finite numbers."""
    kind = type(value)
    if kind is int or (kind is float and value - value == 0.0):
        return repr(value)
    return _text_of_word(value) if kind is str else canonical_json(value)


class _ChangedText:
    """Canonical JSON of the settings that are not at their defaults.

    Args:
        shared: Settings that do not vary, and the keys of the others.
    """

    def __init__(self, shared: SharedSettings) -> None:
        self._parts: list[tuple[str, int | None, str]] = []  # text, index, and text of the default
        for key in sorted(shared.keys):
            name, default = f"{canonical_json(key)}:", canonical_json(shared.defaults[key])
            if key in shared.index:
                self._parts.append((name, shared.index[key], default))
            elif (text := canonical_json(shared.fixed[key])) != default:
                self._parts.append((name + text, None, default))

    def filled(self, texts: Sequence[str]) -> str:
        """Return the text for the texts of the varied values."""
        kept = (
            part if index is None else part + texts[index]
            for part, index, default in self._parts
            if index is None or texts[index] != default
        )
        return f"{{{','.join(kept)}}}"


class _WholeText:
    """Canonical JSON of some settings, those at their defaults included.

    Args:
        shared: Settings that do not vary, and the keys of the others.
        keys: Keys of the settings.
    """

    def __init__(self, shared: SharedSettings, keys: Sequence[str]) -> None:
        self._pieces, self._at, self._ends = ["{"], [], []
        ordered = sorted(keys)
        for key in ordered:
            end = "}" if key == ordered[-1] else ","
            self._pieces[-1] += f"{canonical_json(key)}:"
            if key in shared.index:
                self._at.append((len(self._pieces), shared.index[key]))
                self._ends.append((shared.index[key], end))
                self._pieces += ["", end]
            else:
                self._pieces[-1] += canonical_json(shared.fixed[key]) + end
        self._pieces[-1] += "" if ordered else "}"

    def filled(self, texts: Sequence[str]) -> str:
        """Return the text for the texts of the varied values."""
        pieces = list(self._pieces)
        for position, index in self._at:
            pieces[position] = texts[index]
        return "".join(pieces)

    def short(self, texts: Sequence[str]) -> str:
        """Return a shorter text, by which settings that share the others are in the same order.

        Each value has its end in the whole text, so that 1 comes before 10 there and here alike.
        """
        return "".join([texts[index] + end for index, end in self._ends])
