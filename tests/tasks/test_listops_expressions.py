"""Expressions of ListOps: tokens, values, true trees, the generator."""

import random
from collections import Counter

import pytest

from raysweep.tasks.data import listops
from raysweep.tasks.listops.expressions import OPERATORS, TOKEN_LIMIT, parse, tokenise
from raysweep.tasks.listops.generator import draw, generate

PUBLISHED = "( ( ( ( ( [SM 6 ) 5 ) 9 ) 0 ) ] )"


@pytest.fixture(scope="module")
def official(listops_folder):
    """The rows of the official test set, with their tokens."""
    return [
        (value, tokenise(text)) for value, text in listops.read("official_test", listops_folder)
    ]


def test_an_operator_is_two_tokens_and_round_brackets_are_none():
    assert tokenise(PUBLISHED) == ["[", "sm", "6", "5", "9", "0", "]"]


@pytest.mark.parametrize(
    ("text", "value", "depth"),
    [
        ("7", 7, 0),
        ("[MIN 4 2 9 ]", 2, 1),
        ("[MAX 4 2 9 ]", 9, 1),
        ("[MED 4 2 9 ]", 4, 1),
        ("[MED 4 1 ]", 2, 1),  # 2.5 is rounded down
        ("[SM 6 5 9 0 ]", 0, 1),
        ("[MAX 1 [SM 2 [MIN 3 4 ] ] 0 ]", 5, 3),
    ],
)
def test_values_and_depths_are_known(text, value, depth):
    parsed = parse(tokenise(text))
    assert (parsed.value, parsed.depth) == (value, depth)


@pytest.mark.parametrize(
    "text", ["", "[", "]", "1 2", "[MIN ]", "[MIN 1", "[ 1 2 ]", "MIN", "[SM 1 2 ] 3", "x"]
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match="expected a digit, or"):
        parse(tokenise(text))


def test_spans_are_those_of_the_published_brackets():
    parsed = parse(tokenise("[MAX 1 [SM 2 3 ] ]"))
    # 0 [, 1 max, 2 1, 3 [, 4 sm, 5 2, 6 3, 7 ], 8 ]
    assert parsed.constituents == ((3, 7), (0, 8))
    assert set(parsed.binary) == {(0, 1), (0, 2), (3, 4), (3, 5), (3, 6), (3, 7), (0, 7), (0, 8)}


def test_every_official_test_expression_has_its_value(official):
    assert len(official) == 10_000
    assert all(parse(tokens).value == value for value, tokens in official)


def test_official_test_set_has_8689_expressions_of_fewer_than_100_tokens(official):
    assert sum(len(tokens) < TOKEN_LIMIT for _, tokens in official) == 8689


def test_a_binary_tree_has_one_span_less_than_tokens(official):
    for _, tokens in official[:500]:
        binary = parse(tokens).binary
        assert len(binary) == len(set(binary)) == len(tokens) - 1


def test_generated_expressions_are_distinct_and_parse():
    drawn = generate(1, 500)
    assert len({" ".join(tokens) for tokens in drawn}) == 500
    assert all(0 <= parse(tokens).value <= 9 and len(tokens) < TOKEN_LIMIT for tokens in drawn)


def test_generated_expressions_depend_on_the_seed_alone():
    assert generate(3, 50) == generate(3, 50) != generate(4, 50)


def test_expressions_to_leave_out_are_not_generated():
    first = {" ".join(tokens) for tokens in generate(3, 50)}
    assert not first & {" ".join(tokens) for tokens in generate(3, 50, first)}


def test_drawn_expressions_follow_the_published_grammar():
    stream = random.Random(5)
    drawn = [draw(stream) for _ in range(20_000)]
    within = 4 * (0.25 * 0.75 / 20_000) ** 0.5  # four standard errors
    assert sum(len(tokens) > 1 for tokens in drawn) / 20_000 == pytest.approx(0.25, abs=within)
    operators = Counter(token for tokens in drawn for token in tokens if token in OPERATORS)
    total = sum(operators.values())
    for name in OPERATORS:
        error = (0.25 * 0.75 / total) ** 0.5
        assert operators[name] / total == pytest.approx(0.25, abs=4 * error)


def test_drawn_lengths_have_the_mean_of_the_published_grammar():
    stream = random.Random(6)
    lengths = [len(draw(stream)) for _ in range(40_000)]
    # An operator has 3.5 arguments on average, and 3 tokens of its own; level 20 has digits only.
    operators = [0.25 * 0.875**level for level in range(19)]
    digits = [0.75 * 0.875**level for level in range(19)] + [0.875**19]
    expected = sum(digits) + 3 * sum(operators)
    mean = sum(lengths) / len(lengths)
    variance = sum((length - mean) ** 2 for length in lengths) / len(lengths)
    assert mean == pytest.approx(expected, abs=4 * (variance / len(lengths)) ** 0.5)


def test_generated_lengths_are_near_those_of_the_official_test_set(official):
    kept = [len(tokens) for _, tokens in official if len(tokens) < TOKEN_LIMIT]
    lengths = [len(tokens) for tokens in generate(0, 100_000)]
    mean, expected = sum(lengths) / len(lengths), sum(kept) / len(kept)
    spread = (sum((length - expected) ** 2 for length in kept) / len(kept)) ** 0.5
    assert mean == pytest.approx(expected, abs=4 * spread / len(kept) ** 0.5)
