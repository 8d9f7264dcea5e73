"""Expressions of ListOps: tokens, values, and the true trees."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

DIGITS = tuple("0123456789")
OPEN, CLOSE = "[", "]"


def _median(values: Sequence[int]) -> int:
    return int(statistics.median(values))


def _sum_modulo_ten(values: Sequence[int]) -> int:
    return sum(values) % 10


OPERATORS: Mapping[str, Callable[[Sequence[int]], int]] = {
    "min": min,
    "max": max,
    "med": _median,
    "sm": _sum_modulo_ten,
}
"""Functions of the operators: least, largest, median rounded down, sum modulo ten."""

TOKENS = (*DIGITS, OPEN, CLOSE, *OPERATORS)
"""Every token; a token's number is its index."""
TOKEN_LIMIT = 100
"""Expressions have fewer tokens than this: longer ones are left out."""

Span = tuple[int, int]
"""Indices of the first and the last token of a part of an expression."""


@dataclasses.dataclass(frozen=True)
class Parsed:
    """Value and true tree of an expression.

    Args:
        value: Value, 0 to 9.
        depth: Largest number of nested operators; 0 for a digit.
        constituents: Spans from each opening bracket to its closing one, inner ones first.
        binary: Spans of the binary tree in the published brackets, one per merge of two parts:
            an opening bracket with its operator, then each argument in turn, then the closing
            bracket.
    """

    value: int
    depth: int
    constituents: tuple[Span, ...]
    binary: tuple[Span, ...]


def tokenise(text: str) -> list[str]:
    """Return the tokens of a published expression: round brackets dropped, `[SM` is two tokens."""
    bare = text.replace("(", " ").replace(")", " ").replace(OPEN, f" {OPEN} ")
    return bare.lower().split()


@dataclasses.dataclass
class _Open:
    """Operator whose closing bracket has not been read yet."""

    start: int
    operator: str
    values: list[int] = dataclasses.field(default_factory=list)


def parse(tokens: Sequence[str]) -> Parsed:
    """Return the value and the true tree of an expression.

    Raises:
        ValueError: If the tokens are no expression.
    """
    pending: list[_Open] = []
    values: list[int] = []
    constituents: list[Span] = []
    binary: list[Span] = []
    depth, index = 0, 0
    while index < len(tokens) and not values:
        token = tokens[index]
        value: int | None = None
        if token == OPEN and index + 1 < len(tokens) and tokens[index + 1] in OPERATORS:
            pending.append(_Open(index, tokens[index + 1]))
            index += 1
            binary.append((index - 1, index))
            depth = max(depth, len(pending))
        elif token == CLOSE and pending and pending[-1].values:
            closed = pending.pop()
            binary.append((closed.start, index))
            constituents.append((closed.start, index))
            value = OPERATORS[closed.operator](closed.values)
        elif token in DIGITS:
            value = int(token)
        else:
            raise _no_expression(tokens)
        if value is not None and pending:
            pending[-1].values.append(value)
            binary.append((pending[-1].start, index))
        elif value is not None:
            values.append(value)
        index += 1
    if not values or index < len(tokens):
        raise _no_expression(tokens)
    return Parsed(values[0], depth, tuple(constituents), tuple(binary))


def _no_expression(tokens: Sequence[str]) -> ValueError:
    return ValueError(
        "expected a digit, or [ with an operator, arguments and ], "
        f"got {' '.join(tokens)[:80] or 'no tokens'}"
    )
