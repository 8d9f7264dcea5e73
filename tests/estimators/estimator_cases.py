"""Every estimator under its settings, as parameters of tests."""

import pytest
from case_tables import as_parameters

from raysweep import estimators

CASES = {
    "straight_through": ("straight_through", {}),
    "straight_through tau 1.5": ("straight_through", {"temperature": 1.5, "samples": 2}),
    "st_gumbel_softmax": ("st_gumbel_softmax", {"temperature": 0.7}),
    "gumbel_softmax": ("gumbel_softmax", {"temperature": 0.7, "samples": 2}),
    "gumbel_rao": ("gumbel_rao", {"temperature": 0.7, "samples": 3}),
    "gapped_st": ("gapped_st", {"temperature": 0.7}),
    "gapped_st expected": ("gapped_st", {"gap": "expected", "samples": 2}),
    "reinmax": ("reinmax", {}),
    "reinmax tau 1.3": ("reinmax", {"temperature": 1.3, "samples": 2}),
    "reinmax uniform": ("reinmax", {"baseline": "uniform"}),
    "reinforce": ("reinforce", {}),
    "reinforce K 3": ("reinforce", {"samples": 3}),
    "reinforce_loo": ("reinforce_loo", {}),
    "reinforce_loo K 4": ("reinforce_loo", {"samples": 4}),
    "nvil": ("nvil", {"samples": 2}),
    "muprop": ("muprop", {"samples": 2}),
    "muprop constant": ("muprop", {"linear": False}),
    "muprop linear": ("muprop", {"constant": False, "learn_eta": False, "eta": 0.6}),
    "rebar": ("rebar", {}),
    "rebar uncoupled": ("rebar", {"coupled": False, "samples": 2, "temperature": 0.3}),
    "rebar eq 7": ("rebar", {"relaxation": "muprop", "temperature": 2.0}),
    "rebar eq 7 uncoupled": ("rebar", {"relaxation": "muprop", "coupled": False, "eta": 0.6}),
    "rebar fixed": ("rebar", {"learn_eta": False, "learn_temperature": False, "eta": 0.4}),
    "rebar probit": ("rebar", {"link": "probit"}),
    "rebar probit uncoupled": ("rebar", {"link": "probit", "coupled": False, "eta": 0.6}),
    "relax": ("relax", {}),
    "relax uncoupled": ("relax", {"coupled": False, "samples": 2, "hidden": 11}),
    "arm": ("arm", {}),
    "arm K 4": ("arm", {"samples": 4}),
    "ars": ("ars", {}),
    "ars first": ("ars", {"pivot": "first", "samples": 2}),
    "ars_plus": ("ars_plus", {}),
    "ars_plus first": ("ars_plus", {"pivot": "first", "samples": 2}),
    "arsm": ("arsm", {}),
    "arsm K 2": ("arsm", {"samples": 2}),
    "arsm_plus": ("arsm_plus", {}),
    "disarm": ("disarm", {}),
    "disarm K 4": ("disarm", {"samples": 4}),
    "disarm_sb": ("disarm_sb", {}),
    "disarm_sb ascending": ("disarm_sb", {"order": "ascending", "samples": 4}),
    "disarm_sb given": ("disarm_sb", {"order": "given"}),
    "disarm_iw": ("disarm_iw", {}),
    "disarm_iw K 4": ("disarm_iw", {"samples": 4}),
    "disarm_tree": ("disarm_tree", {}),
    "disarm_tree K 4": ("disarm_tree", {"samples": 4}),
    "arms": ("arms", {}),
    "arms K 3": ("arms", {"samples": 3}),
    "arms K 8": ("arms", {"samples": 8}),
    "double_cv": ("double_cv", {}),
    "double_cv K 3": ("double_cv", {"samples": 3}),
    "rodeo": ("rodeo", {}),
    "rodeo K 3": ("rodeo", {"samples": 3, "hidden": 7}),
    "local_expectation": ("local_expectation", {}),
    "local_expectation K 2": ("local_expectation", {"samples": 2}),
    "unordered_set": ("unordered_set", {}),
    "unordered_set K 4": ("unordered_set", {"samples": 4}),
    "unordered_set plain": ("unordered_set", {"samples": 3, "baseline": False}),
    "vimco": ("vimco", {}),
    "vimco K 3": ("vimco", {"samples": 3}),
    "vimco arithmetic": ("vimco", {"samples": 3, "mean": "arithmetic"}),
    "exact": ("exact", {"samples": 2}),
}


CONTEXT_CASES = {
    "nvil normalise": ("nvil", {"normalise": True}),
    "muprop baseline": ("muprop", {"baseline": True}),
}


def cases(keep=lambda method: True, more=None):
    """The cases whose estimator passes a test, as parameters: a name and settings."""
    return as_parameters({**CASES, **(more or {})}, estimators.get, keep)


def sized_cases(keep=lambda method: True, sizes=(2, 3)):
    """The same, each with every number of categories that it takes."""
    return pytest.mark.parametrize(
        ("name", "settings", "categories"),
        [
            pytest.param(*case, size, id=f"{key}-{size}")
            for key, case in CASES.items()
            for size in sizes
            if keep(method := estimators.get(case[0], **case[1])) and not method.check(2, size)
        ],
    )


def categories_of(name, settings):
    """Three categories where the estimator takes them, else two."""
    return 2 if estimators.get(name, **settings).check(2, 3) else 3


def learns(method):
    """Whether it has parameters of its own, once built for a context."""
    method.build(2, 2, 5)
    return bool(list(method.parameters()))


def is_pathwise(method):
    return isinstance(method, estimators.PathwiseEstimator)
