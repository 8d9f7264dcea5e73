"""Check of the user's functions before step 1: one run as it is, then two stacked ones."""

import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raysweep.tasks.base import DTYPES, TrainingSettings
from raysweep.tasks.functions import generators
from raysweep.tasks.stacked import build
from raysweep.tasks.stacked.call import Pattern, StackedLoss, plain_loss
from raysweep.tasks.stacked.data import Examples, map_tensors
from raysweep.tasks.stacked.definition import LOSS, Definition
from raysweep.tasks.stacked.mistakes import DRAWS, explain, explain_stacking, mistake
from raysweep.tasks.stacked.noise import Drawn, Recorder
from raysweep.tasks.training.batches import BatchSampler

_ATTENTION = "scaled_dot_product"  # in torch's warning of a kernel without a rule for vmap
SEEDS = (0, 1)
REPEATED = 1e-6  # relative, as some sums on a GPU are not the same twice
TOLERANCE = 1e-3  # relative; an error of the stacking is much larger, rounding much smaller
GRADIENT_TOLERANCE = 0.05  # of the largest entry, as gradients may cancel


def probe(
    definition: Definition, settings: TrainingSettings, examples: Examples, device: torch.device
) -> Pattern:
    """Check that runs can be stacked; return the random numbers and kernels of a step.

    The process's generators of random numbers are as before afterwards.

    Raises:
        TaskMistake: If they cannot, in one line with what to do.
        ValueError: If a batch is larger than the data set.
    """
    before = generators.capture(device)
    try:
        return _Probe(definition, settings, examples, device).run()
    finally:
        generators.restore(before, device)


class _Probe:
    """Check of one task with one point of settings, on the second of two runs.

    The first run's module serves as the structure of the stacked ones, so that a weight that is
    not replaced makes a difference for the second run.

    Args:
        definition: Definition of the task.
        settings: Settings of the task.
        examples: Examples on the device.
        device: Device of the check.
    """

    def __init__(
        self,
        definition: Definition,
        settings: TrainingSettings,
        examples: Examples,
        device: torch.device,
    ) -> None:
        self.definition, self.settings, self.examples = definition, settings, examples
        self.device, self.dtype = device, DTYPES[settings.dtype]
        self.loss = definition.functions.loss
        order = BatchSampler(SEEDS, examples.count, settings.batch_size, device)
        self.batch = examples.batch(order.batch(0))
        function, values = definition.functions.build, definition.values("build", settings)
        self.modules = [build.build(function, seed, values) for seed in SEEDS]
        build.check_alike(function, self.modules)
        self.trained, self.constant = build.stack(self.modules, self.dtype, device)
        for module in self.modules:
            module.to(device, self.dtype)

    def run(self) -> Pattern:
        """Check everything; return the random numbers and kernels of a step."""
        noise = Recorder(self.dtype, self.device)
        shared = self.definition.values("loss", self.settings)
        values = {
            name: torch.full((2,), shared.pop(name), dtype=self.dtype, device=self.device)
            for name in list(shared)
            if name in self.definition.per_run
        }
        draws = _Draws(self.device)
        plain, reported, gradients = self._plain(noise, {**shared, **_second(values)})
        is_random = draws.has_drawn(
            lambda: self._repeat(noise, {**shared, **_second(values)}), {LOSS: plain}
        )
        numbers = [torch.stack([one, one]) for one in noise.drawn]
        weights = {name: one.clone().requires_grad_() for name, one in self.trained.items()}
        arguments = [*weights.values(), *self.constant.values()], self.batch, numbers, values
        stacked = self._stacked(Pattern(noise.requests, has_fused_attention=False), shared)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            losses, _ = stacked(*arguments)
        pattern = Pattern(noise.requests, any(_ATTENTION in str(one.message) for one in warned))
        if pattern.has_fused_attention:
            losses, _ = self._stacked(pattern, shared)(*arguments)
        if is_random:
            raise mistake(self.loss, DRAWS)
        self._compare(plain, gradients, losses, list(weights.values()))
        self._evaluate(stacked, reported)
        return pattern

    def _stacked(self, pattern: Pattern, shared: Mapping[str, Any]) -> StackedLoss:
        names = [*self.trained, *self.constant]
        return StackedLoss(self.definition, self.modules[0], names, pattern, shared)

    def _plain(
        self, noise: Recorder, settings: Mapping[str, Any]
    ) -> tuple[Tensor, set[str], Sequence[Tensor]]:
        """Return loss, names of metrics and gradients of the second run, without stacking."""
        module = self.modules[1]
        watch = _Watch(module)
        batch = map_tensors(lambda tensor: tensor[1], self.batch)
        value, metrics = plain_loss(self.definition, module, batch, noise, settings)
        if (change := watch.change()) is not None:
            raise mistake(self.loss, change)
        parameters = [one for one in module.parameters() if one.requires_grad]
        gradients = self._gradients(value, parameters)
        if all(gradient is None for gradient in gradients):
            raise mistake(
                self.loss,
                "the loss has no gradient by the module's parameters; compute it from the module",
            )
        for (name, _), gradient in zip(_trained(module), gradients, strict=True):
            if gradient is not None and gradient.is_sparse:
                raise mistake(
                    self.definition.functions.build,
                    f"the gradient of {name} is sparse; set sparse=False",
                )
        known = [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]
        return value.detach(), {LOSS, *metrics}, known

    def _gradients(self, value: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
        if any(parameter.grad is not None for parameter in parameters):
            raise mistake(
                self.loss,
                "calls backward() by itself; return the loss, whose gradient raysweep takes",
            )
        if not value.requires_grad:
            return [None]
        try:
            return torch.autograd.grad(value, parameters, allow_unused=True)
        except Exception as error:
            raise explain(self.loss, error) from error

    def _repeat(self, noise: Recorder, settings: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the second run's loss once more, with the same noise."""
        batch = map_tensors(lambda tensor: tensor[1], self.batch)
        again = Drawn(noise.requests, noise.drawn)
        return {LOSS: plain_loss(self.definition, self.modules[1], batch, again, settings)[0]}

    def _compare(
        self,
        plain: Tensor,
        gradients: Sequence[Tensor],
        losses: Tensor,
        weights: Sequence[Tensor],
    ) -> None:
        """Check that the second of the stacked runs is as it is alone.

        Raises:
            TaskMistake: If it is not.
        """
        one, two = plain.item(), losses[1].item()
        if not np.isclose(one, two, rtol=TOLERANCE, atol=TOLERANCE * 1e-2, equal_nan=True):
            raise mistake(
                self.loss,
                f"the loss of a run is {one:.6g} alone but {two:.6g} stacked; let it depend on the "
                "module, the batch and the noise that it is given only",
            )
        try:
            stacked = torch.autograd.grad(
                losses.sum(), weights, allow_unused=True, materialize_grads=True
            )
        except Exception as error:
            raise explain_stacking(self.loss, error) from error
        floor = 1e-4 * max(abs(one), *(largest(gradient) for gradient in gradients))
        for (name, _), alone, both in zip(
            _trained(self.modules[1]), gradients, stacked, strict=True
        ):
            limit = GRADIENT_TOLERANCE * largest(alone) + floor
            if (difference := largest(alone - both[1])) > limit:
                raise mistake(
                    self.loss,
                    f"the gradient of {name} is another one alone than stacked, by up to "
                    f"{difference:.3g}; let the loss depend on the module, the batch and the noise "
                    "that it is given only",
                )

    def _evaluate(self, stacked: StackedLoss, reported: set[str]) -> None:
        """Check the evaluation, and that every declared metric is reported."""
        function = self.definition.functions.evaluate
        if function is not None:
            weights = [one[0] for one in (*self.trained.values(), *self.constant.values())]
            values = self.definition.values("evaluate", self.settings)

            def evaluate() -> dict[str, Tensor]:
                return stacked.evaluate(weights, self.examples.parts, values)

            watch, draws = _Watch(self.modules[0]), _Draws(self.device)
            metrics = evaluate()
            reported = reported | set(metrics)
            if draws.has_drawn(evaluate, metrics):
                raise mistake(
                    function, "draws random numbers; an evaluation must be a function of its inputs"
                )
            if (change := watch.change()) is not None:
                raise mistake(function, change)
        if missing := [name for name in self.definition.metrics if name not in reported]:
            raise mistake(
                function or self.loss,
                f"the metric {missing[0]!r} is declared but not returned; return it, or remove it "
                "from the metrics of stacked_task",
            )


class _Watch:
    """State of a module, to see whether calling it changes it.

    Args:
        module: Module that is going to be called.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._tensors = {name: (one, one._version) for name, one in _tensors(module).items()}
        self._attributes = _attributes(module)

    def change(self) -> str | None:
        """Return what a call has changed and what to do; None if nothing."""
        for name, tensor in _tensors(self._module).items():
            before = self._tensors.get(name)
            if before is None or before[0] is not tensor or before[1] != tensor._version:
                return (
                    f"changes {name} of the module, but from step to step a run keeps only what it "
                    "trains; compute the value anew from the batch"
                )
        after = _attributes(self._module)
        for key in [*after, *self._attributes]:
            if key not in after or after[key] is not self._attributes.get(key, self):
                return f"sets {key} of the module; return the value instead"
        return None


class _Draws:
    """States of generators, to see whether a call's result depends on them.

    Python's and NumPy's generators may change for other reasons: some checkers of types draw what
    they check. So a call that changes these is repeated with other seeds.

    Args:
        device: Device of the call.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._torch, self._others = self._states()

    def has_drawn(
        self, repeat: Callable[[], Mapping[str, Tensor]], results: Mapping[str, Tensor]
    ) -> bool:
        """Return whether a call that has returned these results depends on random numbers."""
        of_torch, others = self._states()
        if of_torch != self._torch:
            return True
        if others == self._others:
            return False
        generators.seed_all(SEEDS[-1] + 1)
        again = repeat()
        return not all(
            torch.allclose(again[name], value, rtol=REPEATED, atol=0.0, equal_nan=True)
            for name, value in results.items()
        )

    def _states(self) -> tuple[Any, Any]:
        numpy: Any = np.random.get_state(legacy=True)
        of_torch = [torch.get_rng_state().tolist()]
        if self._device.type == "cuda":
            of_torch.append(torch.cuda.get_rng_state(self._device).tolist())
        return of_torch, (random.getstate(), numpy[1].tobytes(), numpy[2])


def largest(tensor: Tensor) -> float:
    """Return the largest absolute value; 0 if there are no entries or they are not numbers."""
    if not tensor.numel():
        return 0.0
    value = tensor.abs().max().item()
    return 0.0 if math.isnan(value) else value


def _second(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor[1] for name, tensor in values.items()}


def _trained(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, one) for name, one in module.named_parameters() if one.requires_grad]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return the attributes of all parts; torch's dictionaries of tensors stay the same objects."""
    return {
        f"{path}.{name}" if path else name: value
        for path, part in module.named_modules()
        for name, value in vars(part).items()
    }
