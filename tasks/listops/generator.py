"""Random expressions by the published grammar."""

import random
from collections.abc import Collection

from raysweep.tasks.listops.expressions import CLOSE, DIGITS, OPEN, OPERATORS, TOKEN_LIMIT

OPERATOR_PROBABILITY = 0.25
LEAST_ARGUMENTS, MOST_ARGUMENTS = 2, 5
MAX_DEPTH = 20
"""Levels of a tree; on the last one there are digits only."""


def draw(stream: random.Random, level: int = 1) -> list[str]:
    """Return the tokens of one random expression.

    With probability 0.25 it is an operator with 2 to 5 arguments drawn alike, else a digit; all
    choices are uniform. Only `random()` of the stream is called, whose numbers are the same in
    every version of Python.

    Args:
        stream: Source of the random numbers.
        level: Level of the tree, from 1.

    References:
        Nangia, Bowman (2018), arXiv:1804.06028, and their code.
    """
    if level >= MAX_DEPTH or stream.random() >= OPERATOR_PROBABILITY:
        return [_choice(stream, DIGITS)]
    tokens = [OPEN, _choice(stream, tuple(OPERATORS))]
    count = LEAST_ARGUMENTS + int(stream.random() * (MOST_ARGUMENTS - LEAST_ARGUMENTS + 1))
    for _ in range(count):
        tokens += draw(stream, level + 1)
    return [*tokens, CLOSE]


def generate(
    seed: int, count: int, without: Collection[str] = (), max_tokens: int = TOKEN_LIMIT - 1
) -> list[list[str]]:
    """Return distinct random expressions, in random order.

    Short expressions are soon used up, so that a larger set has longer expressions on average.

    Args:
        seed: Seed of the expressions.
        count: Number of expressions.
        without: Expressions to leave out, as tokens joined by spaces.
        max_tokens: Largest number of tokens; longer expressions are drawn, but left out.
    """
    stream = random.Random(seed)
    seen = set(without)
    drawn: list[list[str]] = []
    while len(drawn) < count:
        tokens = draw(stream)
        text = " ".join(tokens)
        if len(tokens) <= max_tokens and text not in seen:
            seen.add(text)
            drawn.append(tokens)
    order = sorted(range(count), key=[stream.random() for _ in range(count)].__getitem__)
    return [drawn[index] for index in order]


def _choice(stream: random.Random, values: tuple[str, ...]) -> str:
    return values[int(stream.random() * len(values))]
