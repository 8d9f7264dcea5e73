"""Hints for names of other tools."""

import pytest

from raysweep.errors import SYNONYMS, nearest
from raysweep.registry import TRAINING
from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import PRUNERS


@pytest.mark.parametrize(
    ("name", "valid", "meant"),
    [
        ("bayes", SAMPLERS, "tpe"),
        ("Bayesian", SAMPLERS, "tpe"),
        ("cma-es", SAMPLERS, "cmaes"),
        ("minimize", ("min", "max"), "min"),
        ("maximize", ("min", "max"), "max"),
        ("successive-halving", PRUNERS, "asha"),
        ("learning_rate", TRAINING, "lr"),
        ("epochs", TRAINING, "steps"),
        ("gird", SAMPLERS, "grid"),
    ],
)
def test_a_name_of_another_tool_is_translated(name, valid, meant):
    assert nearest(name, valid).startswith(f"; did you mean {meant!r}?")


def test_a_synonym_is_offered_only_where_it_is_valid():
    assert "did you mean" not in nearest("bayes", ("lr", "steps"))


def test_synonyms_are_written_as_they_are_looked_up():
    assert all(name == name.lower().replace("-", "_") for name in SYNONYMS)
