"""Pruners of Optuna, which compare configurations by their means over seeds."""

import bisect
import copy
import itertools
import math
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    PatientPruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import FrozenTrial

from raysweep.search.distributions import DIRECTIONS
from raysweep.sweep.options import EarlyStopping
from raysweep.sweep.runs import digest


class Rungs:
    """Configurations of one arm at their rungs.

    Each bracket (Hyperband has several, the others one) is a separate Optuna study with its
    pruner; a trial is a configuration, its intermediate values are means over seeds.

    Args:
        stopping: Pruner and its settings.
        steps: Number of steps of the arm's longest run.
        report_every: Number of steps between two rows of its curves.
    """

    def __init__(self, stopping: EarlyStopping, steps: int, report_every: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        grace = stopping.grace(steps, report_every)
        self._brackets = _brackets(stopping, grace, steps)
        direction = DIRECTIONS[stopping.mode]
        self._storages = [optuna.storages.InMemoryStorage() for _ in self._brackets]
        self._studies = [
            optuna.create_study(storage=storage, direction=direction) for storage in self._storages
        ]
        self._trials: dict[str, tuple[int, int]] = {}  # bracket, trial id
        self._entered: dict[str, set[str]] = {}  # attributes added at the present rung

    def enter(self, step: int, values: Mapping[str, float]) -> None:
        """Record that configurations reach a rung together, with their values."""
        for configuration_id, value in values.items():
            bracket, trial_id = self._trial(configuration_id)
            storage, pruner = self._storages[bracket], self._brackets[bracket][1]
            trial = storage.get_trial(trial_id)
            if step in trial.intermediate_values:
                continue  # it was here before, and writing its decision failed
            before = set(trial.system_attrs)
            storage.set_trial_intermediate_value(trial_id, step, value)
            if isinstance(pruner, SuccessiveHalvingPruner):
                # Successive halving stores the value at its rung as an attribute in `prune`.
                pruner.prune(self._studies[bracket], storage.get_trial(trial_id))
            after = set(storage.get_trial(trial_id).system_attrs)
            self._entered[configuration_id] = after - before

    def is_poor(self, configuration_id: str) -> bool:
        """Check whether the pruner would stop a configuration at the rung it has just reached.

        It competes with all that reached the rung together, in any order, as if it were the last.
        """
        bracket, trial_id = self._trials[configuration_id]
        study = self._studies[bracket]
        trial = copy.copy(self._storages[bracket].get_trial(trial_id))
        new = self._entered[configuration_id]
        trial.system_attrs = {
            key: value for key, value in trial.system_attrs.items() if key not in new
        }
        return self._brackets[bracket][1].prune(_without(study, trial_id), trial)

    def finish(self, configuration_id: str) -> None:
        """Record that a configuration ended; `median` compares others with it."""
        bracket, trial_id = self._trial(configuration_id)
        trial = self._storages[bracket].get_trial(trial_id)
        if not trial.state.is_finished() and trial.last_step is not None:
            value = trial.intermediate_values[trial.last_step]
            self._studies[bracket].tell(trial.number, value)

    def _trial(self, configuration_id: str) -> tuple[int, int]:
        if configuration_id not in self._trials:
            bracket = self._bracket_of(configuration_id)
            study_id = self._storages[bracket].get_study_id_from_name(
                self._studies[bracket].study_name
            )
            trial_id = self._storages[bracket].create_new_trial(study_id)
            self._trials[configuration_id] = bracket, trial_id
        return self._trials[configuration_id]

    def _bracket_of(self, configuration_id: str) -> int:
        """Return the bracket that follows from the identity, which is the same in every session.

        Optuna's Hyperband uses the number of the trial, which depends on the order of arrival.
        """
        ends = list(itertools.accumulate(weight for weight, _ in self._brackets))
        position = int(digest(["bracket", configuration_id]), 16) % ends[-1]
        return bisect.bisect_right(ends, position)


def _without(study: optuna.Study, trial_id: int) -> optuna.Study:
    """Return a view of the study without one trial, which suffices for pruners."""

    def get_trials(deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        trials = study.get_trials(deepcopy=deepcopy, states=states)
        return [trial for trial in trials if trial._trial_id != trial_id]

    view = copy.copy(study)
    view.get_trials = get_trials  # type: ignore[method-assign]
    return view


def _brackets(stopping: EarlyStopping, grace: int, steps: int) -> list[tuple[int, BasePruner]]:
    """Return the share of configurations and the pruner of each bracket."""
    settings = stopping.settings
    match stopping.pruner:
        case "asha":
            pruner: BasePruner = SuccessiveHalvingPruner(
                min_resource=grace,
                reduction_factor=settings["reduction"],
            )
        case "hyperband":
            return _hyperband(grace, steps, settings["reduction"])
        case "median":
            pruner = MedianPruner(
                n_startup_trials=settings["n_startup_trials"],
                n_warmup_steps=grace,
                n_min_trials=settings["n_min_trials"],
            )
        case "patient":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                pruner = PatientPruner(
                    None, patience=settings["patience"], min_delta=settings["min_delta"]
                )
        case _:
            raise ValueError(f"expected a pruner that compares by steps, got {stopping.pruner!r}")
    return [(1, pruner)]


def _hyperband(grace: int, steps: int, reduction: int) -> list[tuple[int, BasePruner]]:
    """Return pruners of successive halving that begin at later and later rungs, and their shares.

    Bracket b begins at grace · η^b and gets ⌈(s_max + 1) η^s / (s + 1)⌉ of the configurations,
    with s = s_max − b and s_max = ⌊log_η(steps / grace)⌋ (Li et al., 2018, algorithm 1).
    """
    largest = 0
    while grace * reduction ** (largest + 1) <= steps:
        largest += 1
    return [
        (
            math.ceil((largest + 1) * reduction ** (largest - bracket) / (largest - bracket + 1)),
            SuccessiveHalvingPruner(
                min_resource=grace,
                reduction_factor=reduction,
                min_early_stopping_rate=bracket,
            ),
        )
        for bracket in range(largest + 1)
    ]
