"""Calls of the user's functions with the weights of one run, or of stacked ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from raysweep.tasks.stacked.data import map_tensors
from raysweep.tasks.stacked.definition import LOSS, Definition
from raysweep.tasks.stacked.mistakes import RAISED, explain, explain_stacking, mistake
from raysweep.tasks.stacked.noise import Drawn, Request, RunNoise

Values = Mapping[str, Any]
Result = tuple[Tensor, dict[str, Tensor]]
_ONE = "a tensor with one number"


class Pattern(NamedTuple):
    """Random numbers and kernels of a step, the same at every step.

    Args:
        requests: Random numbers that the loss requests, in order.
        has_fused_attention: Whether it calls an attention kernel that `vmap` cannot map, so that
            matrix products are used instead.
    """

    requests: Sequence[Request]
    has_fused_attention: bool


class _Call(nn.Module):
    """Function of a module as a method of one, so that weights can be replaced anywhere in it.

    Args:
        module: Module of the run, the first argument of the function.
        function: Function of the user.
    """

    def __init__(self, module: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self._function = module, function

    def forward(self, *arguments: Any, **settings: Any) -> Any:
        return self._function(self.module, *arguments, **settings)


class StackedLoss:
    """The loss of every run of a pack, and one run's evaluation.

    Args:
        definition: Definition of the task.
        module: Module of one run; its weights are replaced, its structure is used.
        names: Names of its parameters and buffers, in the order in which they are given.
        pattern: Random numbers and kernels of a step.
        shared: Settings of the loss in which the runs agree.
    """

    def __init__(
        self,
        definition: Definition,
        module: nn.Module,
        names: Sequence[str],
        pattern: Pattern,
        shared: Values,
    ) -> None:
        self._definition, self._module = definition, module
        self._call = _Call(module, definition.functions.loss)
        self._names = [f"module.{name}" for name in names]
        self._pattern, self._shared = pattern, shared

    def __call__(
        self, weights: Sequence[Tensor], batch: Any, numbers: Sequence[Tensor], settings: Values
    ) -> tuple[Float[Tensor, " R"], dict[str, Float[Tensor, " R"]]]:
        """Return the losses and the metrics of all runs.

        Args:
            weights: Parameters and buffers `R ...`.
            batch: Examples `R B ...`.
            numbers: Random numbers `R ...`, one tensor for every request.
            settings: Settings `R` of the loss that may differ between runs.

        Raises:
            TaskMistake: If the function cannot be stacked, or its requests have changed.
        """
        arguments = [list(weights), batch, list(numbers), dict(settings)]
        try:
            if len(weights[0]) > 1:
                return self._stacked(arguments)
            value, metrics = self._one(*map_tensors(lambda tensor: tensor[0], arguments))
        except RAISED as error:
            raise explain_stacking(self._definition.functions.loss, error) from error
        return value[None], {name: metric[None] for name, metric in metrics.items()}

    def _stacked(self, arguments: list[Any]) -> Result:
        mapped = vmap(self._one, randomness="error")
        if not self._pattern.has_fused_attention:
            return mapped(*arguments)
        with sdpa_kernel(SDPBackend.MATH):
            return mapped(*arguments)

    def _one(
        self, weights: list[Tensor], batch: Any, numbers: list[Tensor], settings: Values
    ) -> Result:
        noise = Drawn(self._pattern.requests, numbers)
        state = dict(zip(self._names, weights, strict=True))
        result = functional_call(self._call, state, (batch, noise), {**self._shared, **settings})
        noise.check_all_used()
        return read_loss(self._definition, result)

    def evaluate(
        self, weights: Sequence[Tensor], parts: Values, settings: Values
    ) -> dict[str, Tensor]:
        """Return the final metrics of one run, with its module in evaluation mode.

        Args:
            weights: Parameters and buffers of the run.
            parts: Parts of the data.
            settings: Settings of the evaluation.

        Raises:
            TaskMistake: If the function raises an error or returns something else than metrics.
        """
        function = self._definition.functions.evaluate
        if function is None:
            return {}
        state = dict(zip(self._names, weights, strict=True))
        modes = {part: part.training for part in self._module.modules()}
        self._module.eval()
        try:
            with torch.no_grad():
                call = _Call(self._module, function)
                result = functional_call(call, state, (parts,), dict(settings))
        except RAISED as error:
            raise explain(function, error) from error
        finally:
            for part, training in modes.items():
                part.training = training
        return _read_metrics(self._definition, function, result)


def plain_loss(
    definition: Definition, module: nn.Module, batch: Any, noise: RunNoise, settings: Values
) -> Result:
    """Return loss and metrics of one run, as the user's code computes them.

    Raises:
        TaskMistake: If the function raises an error, or returns something else.
    """
    function = definition.functions.loss
    try:
        result = function(module, batch, noise, **settings)
    except RAISED as error:
        raise explain(function, error) from error
    return read_loss(definition, result)


def read_loss(definition: Definition, result: Any) -> Result:
    """Return loss and metrics of what the user's function returned.

    Raises:
        TaskMistake: If it returned something else.
    """
    function = definition.functions.loss
    value, metrics = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        given = f"got {_described(value)}; {_remedy(value)}"
        raise mistake(
            function, f"expected the loss to be {_ONE}, or (loss, {{name: metric}}), {given}"
        )
    return value, _read_metrics(definition, function, metrics)


def _read_metrics(
    definition: Definition, function: Callable[..., Any], metrics: Any
) -> dict[str, Tensor]:
    if not isinstance(metrics, Mapping):
        raise mistake(function, f"expected metrics as {{name: number}}, got {_described(metrics)}")
    read = {}
    for name, value in metrics.items():
        if name == LOSS and function is definition.functions.loss:
            raise mistake(function, f"the metric {LOSS!r} is the loss itself; give another name")
        if name not in definition.metrics:
            raise mistake(
                function,
                f"got the metric {name!r}, which is not declared; add it to the metrics of "
                f"stacked_task (declared: {', '.join(definition.metrics)})",
            )
        tensor = torch.as_tensor(value) if isinstance(value, int | float) else value
        if not isinstance(tensor, Tensor) or tensor.dim():
            raise mistake(
                function, f"expected the metric {name!r} to be {_ONE}, got {_described(value)}"
            )
        read[name] = tensor.detach()
    return read


def _remedy(value: Any) -> str:
    """Return what to write in place of something that is no loss."""
    if value is None:
        return "end the function with return loss"
    if isinstance(value, bool | int | float):
        return "return the tensor itself, without .item() or float()"
    if not isinstance(value, Tensor):
        return "return (loss, {name: metric}), the loss first"
    if value.is_floating_point():
        return "return its mean"
    return "return a floating point tensor that depends smoothly on the parameters"


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Tensor):
        return f"a tensor {value.dtype} of the shape {list(value.shape)}".replace("torch.", "")
    return type(value).__name__
