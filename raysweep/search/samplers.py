"""Optuna's samplers, by their names in a sweep file."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial

from raysweep.sweep.options import Search


class OrderedNSGAII(NSGAIISampler):
    """NSGA-II with its parents in the order of their trials.

    Optuna's come in another order at the first proposal of a generation than at the others, so a
    study that was rebuilt in the middle of one would go on differently.
    """

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation."""
        found = super().select_parent(study, generation)
        return sorted(found, key=lambda trial: trial.number)


_CLASSES: dict[str, type[BaseSampler]] = {
    "grid": RandomSampler,  # only ever asked for points that are given to it
    "random": RandomSampler,
    "tpe": TPESampler,
    "gp": GPSampler,
    "qmc": QMCSampler,
    "cmaes": CmaEsSampler,
    "nsga2": OrderedNSGAII,
}
_QUIET = {name: {"warn_independent_sampling": False} for name in ("gp", "qmc", "cmaes")}
ADAPTIVE = frozenset({"tpe", "gp", "cmaes", "nsga2"})
MIN_HISTORY = 10  # `cmaes` starts from the best tenth of it
KEEPS_ATTRIBUTES = frozenset({"cmaes", "nsga2"})
# What a trial that this sampler did not propose carries: for `nsga2` it is of the first generation.
FIRST_GENERATION_ATTRS = {OrderedNSGAII._get_generation_key(): 0}


def make_sampler(
    search: Search,
    seed: int,
    *,
    conditional: bool = False,
    history: Sequence[FrozenTrial] = (),
) -> BaseSampler:
    """The search's sampler.

    Args:
        search: Names it, and holds its settings.
        seed: Of its random numbers.
        conditional: Whether some settings apply only beside certain values of others; `tpe` then
            models each group of settings for itself, unless told not to.
        history: Finished trials that this sampler did not propose; `cmaes` starts from them, the
            others learn of them through the study.

    Raises:
        ValueError: If Optuna refuses a setting.
    """
    settings = {**_QUIET.get(search.sampler, {}), **search.settings}
    if search.sampler == "tpe" and conditional and settings.get("multivariate") is not False:
        settings.setdefault("group", True)
    enough = len(history) >= MIN_HISTORY and not settings.get("use_separable_cma")
    if search.sampler == "cmaes" and enough:
        settings["source_trials"] = list(history)
    cls: type = _CLASSES[search.sampler]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return cls(seed=seed, **settings)
