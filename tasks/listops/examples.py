"""Training, validation and test expressions as tensors."""

import dataclasses
import functools
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from raysweep.tasks import data
from raysweep.tasks.data import listops
from raysweep.tasks.listops.expressions import TOKEN_LIMIT, TOKENS, Span, parse, tokenise
from raysweep.tasks.listops.generator import generate
from raysweep.tasks.listops.settings import (
    GENERATED_TEST,
    GENERATED_TRAINING,
    ListOpsSettings,
)

_NUMBERS = {token: number for number, token in enumerate(TOKENS)}


@dataclasses.dataclass(frozen=True)
class Expressions:
    """Expressions on the device.

    Args:
        tokens: Numbers of the tokens, 0 after the end.
        lengths: Numbers of tokens.
        labels: Values, 0 to 9.
    """

    tokens: Int[Tensor, "N T"]
    lengths: Int[Tensor, " N"]
    labels: Int[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Trees:
    """True trees of expressions, without the span of a whole expression.

    Args:
        depths: Largest numbers of nested operators.
        binary: Codes of the spans of the binary trees, as of `code`; -1 for none.
        constituents: Codes of the spans from bracket to bracket; -1 for none.
    """

    depths: Int[Tensor, " N"]
    binary: Int[Tensor, "N S"]
    constituents: Int[Tensor, "N S"]

    def rows(self, rows: slice) -> "Trees":
        """Return the trees of some expressions."""
        return Trees(self.depths[rows], self.binary[rows], self.constituents[rows])


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """Expressions with their true trees, from short to long."""

    expressions: Expressions
    trees: Trees


@dataclasses.dataclass(frozen=True)
class Sets:
    """Expressions of a task."""

    train: Expressions
    valid: Evaluated
    test: Evaluated


def code(first: Tensor, last: Tensor) -> Tensor:
    """Return a number for the span between two tokens, below `SPANS`."""
    return first * TOKEN_LIMIT + last


SPANS = TOKEN_LIMIT**2


def load(settings: ListOpsSettings, device: torch.device) -> Sets:
    """Load or generate the expressions, once per process, device and choice.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a set has too few expressions, or a file has unexpected content.
    """
    return _load(
        _names(settings),
        (
            settings.training_examples,
            settings.validation_examples,
            settings.evaluation_examples,
        ),
        (settings.data_seed, settings.max_tokens),
        data.folder(),
        device,
    )


def files(settings: ListOpsSettings) -> list[str]:
    """Return the names of the sets that are read from files."""
    return _files(_names(settings))


Tokens = list[str]


def _names(settings: ListOpsSettings) -> tuple[str, str, str]:
    return settings.training_set, settings.test_set, settings.validation_set


@functools.lru_cache(maxsize=4)
def _load(
    names: tuple[str, str, str],
    sizes: tuple[int | None, int, int | None],
    kind: tuple[int, int],
    root: Path,
    device: torch.device,
) -> Sets:
    training_set, test_set, validation_set = names
    training, validation, evaluation = sizes
    seed, max_tokens = kind
    tests, trains = 0, 0
    if test_set == "generated":
        tests = GENERATED_TEST
    if training_set == "generated":
        trains = (training or GENERATED_TRAINING) + validation * (validation_set == "training")
    read = {name: _read(name, root, max_tokens) for name in _files(names)}
    generated: list[Tokens] = []
    if tests + trains > 0:
        without = {" ".join(tokens) for part in read.values() for tokens in part}
        generated = generate(seed, tests + trains, without, max_tokens)
    test = generated[:tests] if tests else read["official_test"]
    train = generated[tests:] if trains else read[training_set]
    train, valid = _divided(train, read.get(validation_set), validation)
    train = train[:training]
    if training is not None and len(train) < training:
        raise ValueError(
            f"training_examples must be at most {len(train)}, the training expressions of at "
            f"most {max_tokens} tokens, got {training}"
        )
    return Sets(
        _expressions(train, device),
        evaluated(valid, device),
        evaluated(test[:evaluation], device),
    )


def _files(names: tuple[str, str, str]) -> list[str]:
    """Return the sets that are read from files, of training, test and validation set."""
    training_set, test_set, validation_set = names
    files = [training_set, "official_test" if test_set == "official" else "", validation_set]
    return [name for name in files if name in listops.FILES]


def _divided(
    train: list[Tokens], valid: list[Tokens] | None, count: int
) -> tuple[list[Tokens], list[Tokens]]:
    """Return training and validation expressions, none of which is in both.

    Args:
        train: Training expressions, by their tokens.
        valid: Validation expressions, or None for the last ones of training.
        count: Number of validation expressions.
    """
    if valid is not None:
        without = {" ".join(tokens) for tokens in valid[:count]}
        return [tokens for tokens in train if " ".join(tokens) not in without], valid[:count]
    if count >= len(train):
        raise ValueError(
            f"validation_examples must be below {len(train)}, the training expressions, got {count}"
        )
    return train[:-count], train[-count:]


def _read(name: str, root: Path, max_tokens: int) -> list[Tokens]:
    """Return the expressions of a file that are short enough."""
    every = (tokenise(text) for _, text in listops.read(name, root))
    return [tokens for tokens in every if len(tokens) <= max_tokens]


def _expressions(drawn: Sequence[Tokens], device: torch.device) -> Expressions:
    longest = max(map(len, drawn))
    numbers = [[_NUMBERS[token] for token in tokens] for tokens in drawn]
    return Expressions(
        _padded(numbers, longest, 0).to(device),
        torch.tensor([len(tokens) for tokens in drawn], device=device),
        torch.tensor([parse(tokens).value for tokens in drawn], device=device),
    )


def evaluated(drawn: Sequence[Tokens], device: torch.device) -> Evaluated:
    """Return expressions, given by their tokens, from short to long with their true trees."""
    ordered = sorted(drawn, key=len)
    trees = [parse(tokens) for tokens in ordered]
    binary, constituents = (
        [_codes(spans, len(tokens)) for spans, tokens in zip(every, ordered, strict=True)]
        for every in ([tree.binary for tree in trees], [tree.constituents for tree in trees])
    )
    return Evaluated(
        _expressions(ordered, device),
        Trees(
            torch.tensor([tree.depth for tree in trees], device=device),
            _padded(binary, max(map(len, binary)), -1).to(device),
            _padded(constituents, max(map(len, constituents)), -1).to(device),
        ),
    )


def _codes(spans: Collection[Span], length: int) -> list[int]:
    """Return the codes of spans other than the whole expression's."""
    return [first * TOKEN_LIMIT + last for first, last in spans if last - first + 1 < length]


def _padded(rows: Sequence[Sequence[int]], width: int, padding: int) -> Int[Tensor, "N width"]:
    return torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])


def membership(codes: Int[Tensor, "N S"]) -> Bool[Tensor, "N spans"]:
    """Return whether a span is one of some, by its code; none has the code `SPANS`."""
    table = torch.zeros(len(codes), SPANS + 1, dtype=torch.bool, device=codes.device)
    table.scatter_(1, torch.where(codes < 0, SPANS, codes), True)
    table[:, SPANS] = False
    return table
