"""Default names of files: no two figures have the same."""

import itertools

import pytest

from raysweep.figures import kinds

NAMES = [
    ("seeds", None, {"tasks": ("a", "b")}),
    ("seeds", None, {"tasks": ("a+b",)}),
    ("seeds", None, {"tasks": ("a b",)}),
    ("seeds", None, {"tasks": ("a_b",)}),
    ("seeds", None, {}),
    ("curves", "seeds", {"metric": "seeds"}),
    ("heatmap", None, {"metric": "steps"}),
    ("heatmap", None, {"over": "steps"}),
    ("curves", "m", {"metric": "m", "all": True}),
    ("curves", "m-all", {"metric": "m-all"}),
]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(NAMES, 2)))
def test_names_of_two_figures_differ(first, second):
    assert kinds._name(*first) != kinds._name(*second)
