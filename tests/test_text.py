"""Texts for terminals."""

import pytest

from raysweep.text import filled, some

DOCSTRING = """\
The gradient of a quadratic objective, which a wide line describes at length, here.

- baseline "expected": the mean over all the categories of the variable;
- baseline "uniform": one over their number.

Args:
    temperature: Divisor of the logits, which is at least one and has no dimension.
    samples: Number of samples.

References:
    Liu, Dong (2023), arXiv:2304.08612, section 6; with other settings
    Tucker (2021), arXiv:2106.08056.
    Yin (2019), arXiv:1807.11143."""

NARROW = """\
The gradient of a quadratic objective, which a wide line
describes at length, here.

- baseline "expected": the mean over all the categories of
  the variable;
- baseline "uniform": one over their number.

Args:
    temperature: Divisor of the logits, which is at least
        one and has no dimension.
    samples: Number of samples.

References:
    Liu, Dong (2023), arXiv:2304.08612, section 6; with
    other settings Tucker (2021), arXiv:2106.08056.
    Yin (2019), arXiv:1807.11143."""


def test_paragraphs_of_a_docstring_fill_narrow_lines():
    assert filled(DOCSTRING, 58) == NARROW


@pytest.mark.parametrize("width", [None, 100])
def test_a_docstring_that_fits_stays_as_it_is(width):
    assert filled(DOCSTRING, width) == DOCSTRING


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), ("ab", "a, b"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more")],
)
def test_of_many_names_the_first_are_given(names, text):
    assert some(list(names)) == text
