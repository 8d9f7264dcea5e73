"""Optuna's samplers, by their names in a sweep file."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

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


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A sampler that a sweep file can name.

    Args:
        cls: Optuna's class, made with `seed`, `fixed` and the file's settings.
        settings: Type and least value of each setting that a sweep file may give, by Optuna's name.
        metrics: How many metrics `select` may have.
        fixed: Settings that every one has.
        adaptive: Whether proposals depend on results.
        keeps_state: Whether it notes at its trials what later proposals need.
        starts_from_history: Whether trials of other samplers are handed to it, as `source_trials`.
    """

    cls: type[BaseSampler]
    settings: Mapping[str, tuple[Any, float | None]] = dataclasses.field(default_factory=dict)
    metrics: tuple[int, ...] = (1, 2)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    adaptive: bool = False
    keeps_state: bool = False
    starts_from_history: bool = False


_QUIET = {"warn_independent_sampling": False}
SAMPLERS: Mapping[str, Sampler] = {
    "grid": Sampler(RandomSampler),  # only ever asked for points that are given to it
    "random": Sampler(RandomSampler),
    "tpe": Sampler(
        TPESampler,
        {
            "n_startup_trials": (int, 0),
            "n_ei_candidates": (int, 1),
            "multivariate": (bool | None, None),
            "group": (bool, None),
            "constant_liar": (bool, None),
        },
        adaptive=True,
    ),
    "gp": Sampler(
        GPSampler,
        {"n_startup_trials": (int, 0), "deterministic_objective": (bool, None)},
        fixed=_QUIET,
        adaptive=True,
    ),
    "qmc": Sampler(
        QMCSampler,
        {"qmc_type": (Literal["sobol", "halton"], None), "scramble": (bool, None)},
        fixed=_QUIET,
    ),
    "cmaes": Sampler(
        CmaEsSampler,
        {
            "n_startup_trials": (int, 0),
            "popsize": (int | None, 2),
            "use_separable_cma": (bool, None),
            "with_margin": (bool, None),
            "lr_adapt": (bool, None),
            "consider_pruned_trials": (bool, None),
        },
        metrics=(1,),
        fixed=_QUIET,
        adaptive=True,
        keeps_state=True,
        starts_from_history=True,
    ),
    "nsga2": Sampler(
        OrderedNSGAII,
        {
            "population_size": (int, 2),
            "mutation_prob": (float | None, 0),
            "crossover_prob": (float, 0),
            "swapping_prob": (float, 0),
        },
        metrics=(2,),
        adaptive=True,
        keeps_state=True,
    ),
}
MIN_HISTORY = 10  # trials; `cmaes` starts from the best tenth of them
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
    sampler = SAMPLERS[search.sampler]
    settings = {**sampler.fixed, **search.settings}
    if "group" in sampler.settings and conditional and settings.get("multivariate") is not False:
        settings.setdefault("group", True)
    enough = len(history) >= MIN_HISTORY and not settings.get("use_separable_cma")
    if sampler.starts_from_history and enough:
        settings["source_trials"] = list(history)
    cls: type = sampler.cls
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return cls(seed=seed, **settings)
