"""A check of any task: what packs, checkpoints and resume rely on, in a few steps."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from raysweep import registry
from raysweep.engine.errors_of_runs import files_of, line_of
from raysweep.errors import SpecError
from raysweep.estimators import Estimator, Method
from raysweep.tasks import Task
from raysweep.tasks.base import NO_FAMILY, Replica, Training
from raysweep.tasks.contract import BrokenContract, check_metrics, check_step
from raysweep.tasks.functions.task import FunctionTask
from raysweep.tasks.training import schedules
from raysweep.testing.functions import FunctionCheck
from raysweep.text import some

SEEDS = (3, 4, 5)
STEPS = 2
TOLERANCE = 1e-4  # relative, in float32; 1e-9 in float64
CPU = torch.device("cpu")

Metrics = Mapping[str, Tensor]


def check_task(name: str, estimator: str | None = None, **settings: Any) -> list[str]:
    """Return what is wrong with a task, a line each; nothing if it keeps the four rules.

    It trains a few steps with one run and with three, alone and in a pack, drops runs, saves and
    loads. Metrics must be declared, with one number for each run. The task's `check` must refuse
    the estimators that cannot have as many latent variables and categories as the task gives them.

    A plain function is trained to its end in four steps, or in as many as the settings say: twice,
    and saved and loaded in the middle.

    Args:
        name: Name of the task in the registry.
        estimator: Name of an estimator; the first of its family that the task accepts if None.
            A task that takes none is checked without one.
        settings: Values of the task's settings; others have their defaults.

    Raises:
        SpecError: If there is no such task or estimator, or the task takes none.
        FileNotFoundError: If data is missing.
        ValueError: If the task refuses a setting, the estimator, or every one.
    """
    task = registry.task(name)
    if not isinstance(task, FunctionTask):
        return _Check(task, estimator, settings).problems()
    _check_estimator(task, estimator)
    classes = registry.usable_estimators(task.family).items()
    first = next(name for name, cls in classes if not getattr(cls, "binary_only", False))
    return FunctionCheck(task, estimator or first, settings).problems()


def _check_estimator(task: Task[Any], estimator: str | None) -> None:
    """Check that a task takes the estimator, if there is one.

    Raises:
        SpecError: If it does not.
    """
    if estimator is not None:
        if task.family == NO_FAMILY:
            raise SpecError(f"this task takes no estimator, got {estimator!r}; leave it out")
        registry.check_estimator(estimator, task.name)


class _Check:
    """Check of one task with one estimator.

    Args:
        task: Task[Any] to check.
        estimator: Name of the estimator; None for the first that fits.
        settings: Values of the task's settings.
    """

    def __init__(self, task: Task[Any], estimator: str | None, settings: Mapping[str, Any]) -> None:
        self.task = task
        is_float64 = "dtype" in getattr(task.settings, "__dataclass_fields__", {})
        precise = {"dtype": "float64"} if is_float64 else {}
        self.settings = task.settings(**{**precise, **settings})
        self.tolerance = 1e-9 if is_float64 else TOLERANCE
        self.sizes: set[tuple[int, int]] = set()  # latents and categories of the trainings
        _check_estimator(task, estimator)
        if estimator is not None and (reason := self._refusal(estimator)) is not None:
            raise ValueError(reason)
        self.estimator = estimator or self._first_estimator()

    def _refusal(self, name: str) -> str | None:
        """Return the reason why sweep files with this estimator are refused, or None."""
        method = self._method(name)
        try:
            schedules.check(self.settings, method)
        except ValueError as error:
            return str(error)
        return self.task.refusal(self.settings, method)

    def _first_estimator(self) -> str:
        reasons = []
        for name in registry.usable_estimators(self.task.family):
            reason = self._refusal(name)
            if reason is None:
                return name
            reasons.append(reason if self.task.family == NO_FAMILY else f"{name}: {reason}")
        if self.task.family == NO_FAMILY:
            raise ValueError(f"{self.task.name} refuses these settings; {reasons[0]}")
        raise ValueError(f"{self.task.name} refuses every estimator; {'; '.join(reasons[:3])}")

    def _method(self, name: str) -> Method[Any]:
        return registry.estimator_class(self.task.family, name)()

    def start(self, seeds: Sequence[int]) -> Training:
        """Return a new training of runs with these seeds."""
        keys = registry.task_settings(self.task.name).values()
        values = {key.name: getattr(self.settings, key.name) for key in keys if key.per_replica}
        replicas = [Replica(f"seed {seed}", seed, values) for seed in seeds]
        method = self._watched(self._method(self.estimator))
        return self.task.start(self.settings, replicas, method, CPU)

    def _watched(self, method: Method[Any]) -> Method[Any]:
        """Return the estimator; a categorical one notes the sizes that it is asked to check."""
        if not isinstance(method, Estimator):
            return method
        check = method.check

        def noting(latents: int, categories: int) -> str | None:
            self.sizes.add((latents, categories))
            return check(latents, categories)

        method.check = noting  # type: ignore[method-assign]
        return method

    def problems(self) -> list[str]:
        """Return what is wrong, a line each."""
        checks: tuple[Callable[[], str | None], ...] = (
            self.reports,
            self.refuses_estimators,
            self.runs_alone_as_in_a_pack,
            self.repeats,
            self.evaluates_without_effect,
            self.drops_runs,
            self.resumes,
        )
        problems: list[str] = []
        for check in checks:
            try:
                problem = check()
            except BrokenContract as error:
                return [*problems, str(error)]  # the others would fail of it, too
            except FileNotFoundError:
                raise  # data is missing, whatever the task does
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of a task may raise anything
                problem = f"raised {line_of(error, files_of(self.task.name, self.estimator))}"
                if check == self.reports:
                    return [self.refuses_estimators() or problem]  # the others would raise the same
            if problem is not None:
                problems.append(f"{check.__name__.replace('_', ' ')}: {problem}")
        return problems

    def advance(self, training: Training, replicas: int) -> Metrics:
        """Return the metrics of a few steps, after checking them."""
        before = training.step
        metrics = training.advance(STEPS)
        check_step(before, STEPS, training.step)
        check_metrics(metrics, self.task.metrics, replicas, "advance")
        return metrics

    def evaluate(self, training: Training, replicas: int) -> Metrics:
        """Return the final metrics, after checking them."""
        metrics = training.evaluate()
        check_metrics(metrics, self.task.metrics, replicas, "evaluate")
        return metrics

    def reports(self) -> str | None:
        """Check that training reports metrics, all of them declared."""
        training = self.start(SEEDS)
        reported = {*self.advance(training, len(SEEDS)), *self.evaluate(training, len(SEEDS))}
        return None if reported else "expected at least one metric, got none"

    def refuses_estimators(self) -> str | None:
        """Check that the task's `check` refuses estimators that its logits do not fit."""
        accepted, reasons = [], []
        for name in registry.usable_estimators(self.task.family):
            method = self._method(name)
            if not isinstance(method, Estimator):
                continue  # those of layers are checked with a network's sizes
            refusals = [reason for size in self.sizes if (reason := method.check(*size))]
            if refusals and self.task.refusal(self.settings, method) is None:
                accepted.append(name)
                reasons += refusals
        if not accepted:
            return None
        return (
            f"check accepts {some(accepted)}, which cannot train here ({reasons[0]}); let it "
            "return estimator.check(latents, categories)"
        )

    def runs_alone_as_in_a_pack(self) -> str | None:
        """Check that a run does not depend on the others in its pack."""
        together = self.advance(self.start(SEEDS), len(SEEDS))
        for index, seed in enumerate(SEEDS):
            alone = self.advance(self.start([seed]), 1)
            same = {name: values[index : index + 1] for name, values in together.items()}
            if (difference := self._difference(alone, same)) is not None:
                return f"a run differs from the same run in a pack of {len(SEEDS)}, {difference}"
        return None

    def repeats(self) -> str | None:
        """Check that the seed decides all random numbers."""
        first, second = (self.advance(self.start(SEEDS), len(SEEDS)) for _ in range(2))
        difference = self._difference(first, second)
        return None if difference is None else f"two runs of the same seeds differ, {difference}"

    def evaluates_without_effect(self) -> str | None:
        """Check that an evaluation does not change the training."""
        plain, looked_at = self.start(SEEDS), self.start(SEEDS)
        for training in (plain, looked_at):
            self.advance(training, len(SEEDS))
        self.evaluate(looked_at, len(SEEDS))
        difference = self._difference(*self._next(plain, looked_at))
        return None if difference is None else f"training differs after evaluate, {difference}"

    def drops_runs(self) -> str | None:
        """Check that runs that stay are not changed by those that are dropped."""
        whole, part = self.start(SEEDS), self.start(SEEDS)
        for training in (whole, part):
            self.advance(training, len(SEEDS))
        part.select(torch.tensor([True, False, True]))
        kept = {name: values[[0, 2]] for name, values in self.advance(whole, 3).items()}
        difference = self._difference(kept, self.advance(part, 2))
        return None if difference is None else f"runs differ after select, {difference}"

    def resumes(self) -> str | None:
        """Check that a loaded state continues as the saved training does."""
        through = self.start(SEEDS)
        self.advance(through, len(SEEDS))
        file = io.BytesIO()
        torch.save(through.state_dict(), file)
        file.seek(0)
        resumed = self.start(SEEDS)
        resumed.load_state_dict(torch.load(file, weights_only=True))
        if resumed.step != through.step:
            return f"expected step {through.step} after load_state_dict, got {resumed.step}"
        difference = self._difference(*self._next(through, resumed), exact=True)
        return None if difference is None else f"a resumed training differs, {difference}"

    def _next(self, *trainings: Training) -> list[Metrics]:
        return [self.advance(training, len(SEEDS)) for training in trainings]

    def _difference(self, one: Metrics, other: Metrics, *, exact: bool = False) -> str | None:
        """Return how metrics differ; None if they do not."""
        if one.keys() != other.keys():
            return f"in their metrics: {sorted(one.keys() ^ other.keys())}"
        for name, values in one.items():
            tolerance = 0.0 if exact else self.tolerance
            if not torch.allclose(
                values, other[name], rtol=tolerance, atol=tolerance, equal_nan=True
            ):
                return f"in {name}: {values.tolist()} and {other[name].tolist()}"
        return None
