"""Samplers of Optuna, by their names in a sweep file."""

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

    Optuna gives them in another order at the first proposal of a generation than at the others,
    so a study rebuilt within a generation would continue differently.
    """

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return the parents of a generation."""
        parents = super().select_parent(study, generation)
        return sorted(parents, key=lambda trial: trial.number)


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A sampler that a sweep file can name.

    Args:
        cls: Class of Optuna, created with `seed`, `fixed` and the settings of the file.
        settings: Type and smallest value of each setting that a file may give, by Optuna's name.
        metrics: Numbers of metrics that `select` may have.
        fixed: Settings that the file cannot change.
        adaptive: Whether proposals depend on results.
        keeps_state: Whether later proposals need attributes of its earlier trials.
        starts_from_history: Whether it gets trials of other samplers as `source_trials`.
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
    "grid": Sampler(RandomSampler),  # a placeholder, as all points of a grid are given
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
# Attributes of trials of other samplers, which `nsga2` then counts as its first generation.
FIRST_GENERATION_ATTRS = {OrderedNSGAII._get_generation_key(): 0}


def make_sampler(
    search: Search,
    seed: int,
    *,
    conditional: bool = False,
    history: Sequence[FrozenTrial] = (),
) -> BaseSampler:
    """Create the sampler of a search.

    Args:
        search: Name of the sampler, and its settings.
        seed: Seed of the sampler's random numbers.
        conditional: Whether some settings apply only beside certain values of others; `tpe` then
            models each group of settings separately, unless its settings say otherwise.
        history: Finished trials of other samplers; `cmaes` starts from them, other samplers get
            them through the study.

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
