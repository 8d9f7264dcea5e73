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


KNOWN = ("linear", "temperature", "momentum", "epsilon", "rodeo", "reinforce", "arsm", "p", "8x")


@pytest.mark.parametrize(
    "name", ["flibber", "hello", "foo", "lstm", "resnet", "transformer", "X", "x", "", "zzz"]
)
def test_an_unrelated_name_gives_no_guess(name):
    assert "did you mean" not in nearest(name, KNOWN)


def test_an_unrelated_text_is_no_guess_for_an_id():
    assert "did you mean" not in nearest(
        "0fb12ac9e3d84417", ("8cab8139f7b0ca52", "0a1b2c9e3d1144f7")
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("linaer", "linear"),
        ("temprature", "temperature"),
        ("tempreture", "temperature"),
        ("momentm", "momentum"),
        ("Reinforce", "reinforce"),
        ("rein-force", "reinforce"),
        ("pp", "p"),
        ("temp", "temperature"),
    ],
)
def test_a_name_with_a_wrong_letter_or_two_gives_the_name(name, meant):
    assert nearest(name, KNOWN).startswith(f"; did you mean {meant!r}?")


def test_a_word_of_one_name_gives_that_name():
    assert "did you mean 'test_neg_elbo'" in nearest("elbo", ("train_loss", "test_neg_elbo"))


def test_a_word_of_several_names_gives_none():
    assert "did you mean" not in nearest("loss", ("train_loss", "expected_loss"))


def test_the_closest_of_several_names_is_given():
    assert "did you mean 'train_loss'" in nearest("train_los", ("train_lost_it", "train_loss"))


def test_a_synonym_is_offered_only_where_it_is_valid():
    assert "did you mean" not in nearest("bayes", ("lr", "steps"))


def test_synonyms_are_written_as_they_are_looked_up():
    assert all(name == name.lower().replace("-", "_") for name in SYNONYMS)
