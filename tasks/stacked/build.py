"""Modules of runs: built from a seed, refused if they cannot be stacked, stacked."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from raysweep.tasks.functions import generators
from raysweep.tasks.stacked.mistakes import RAISED, explain, mistake

CPU = torch.device("cpu")
_PLAIN = (bool, int, float, str, type(None))


def build(function: Callable[..., nn.Module], seed: int, settings: Mapping[str, Any]) -> nn.Module:
    """Return the module of one run on the CPU; its numbers depend on the seed alone.

    The generators of this process are as before afterwards.

    Raises:
        TaskMistake: If the function raises an error, or returns no module that can be stacked.
    """
    device = torch.device("cuda") if torch.cuda.is_initialized() else CPU
    before = generators.capture(device)
    try:
        generators.seed_all(seed)
        module = function(**settings)
    except RAISED as error:
        raise explain(function, error) from error
    finally:
        generators.restore(before, device)
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise mistake(function, f"expected it to return a torch.nn.Module, got {kind}")
    if (reason := refusal(module)) is not None:
        raise mistake(function, reason)
    return module


def refusal(module: nn.Module) -> str | None:
    """Return why a module cannot be stacked, and what to do; None if nothing is known."""
    registered = {id(one) for one in (*module.modules(), *module.parameters(), *module.buffers())}
    for path, part in module.named_modules():
        reason = _refusal_of_part(part) or _hidden_in(part, registered)
        if reason is not None:
            return f"the module {_name(path, part)} {reason}"
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            return f"the parameter {name} has no shape yet; give the layer its number of inputs"
        if not parameter.is_floating_point():
            kind = str(parameter.dtype).removeprefix("torch.")
            return f"the parameter {name} is of the type {kind}; make it a float, or a buffer"
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_meta:
            return f"{name} is on the device meta, without numbers; build the module on the CPU"
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return "the module has no parameters to train; give it some"
    return None


def _refusal_of_part(part: nn.Module) -> str | None:
    draws = (isinstance(part, _DropoutNd) and part.p > 0) or (
        isinstance(part, nn.MultiheadAttention | nn.RNNBase) and part.dropout > 0
    )
    if draws or isinstance(part, nn.RReLU):
        return (
            "draws random numbers by itself; set its dropout to 0, and use noise.dropout(x, p) "
            "where the module calls it"
        )
    if isinstance(part, nn.RNNBase | nn.LSTMCell):
        return "cannot be stacked; write its step with torch.nn.Linear, in a loop"
    if type(part).__name__ == "OptimizedModule":
        return "is compiled; return it without torch.compile"
    if isinstance(part, _NormBase) and part.track_running_stats:
        return "keeps running statistics; set track_running_stats=False, or use LayerNorm"
    for name, value in vars(part).items():
        if isinstance(value, Tensor):
            return f"holds a tensor as {name!r}; use self.register_buffer({name!r}, ...)"
    return None


def _hidden_in(part: nn.Module, registered: Collection[int]) -> str | None:
    """Return what is wrong with what a part holds in lists and dicts, where torch does not look."""
    for name, held in vars(part).items():
        if name.startswith("_") or not isinstance(held, list | tuple | dict):
            continue
        kind = "Dict" if isinstance(held, dict) else "List"
        where = f"in the {type(held).__name__} {name!r}"
        for one in held.values() if isinstance(held, dict) else held:
            if id(one) in registered:
                continue
            untrained = f"{where}, where it is not trained; use torch.nn."
            if isinstance(one, nn.Parameter):
                return f"holds a parameter {untrained}Parameter{kind}"
            if isinstance(one, nn.Module) and any(p.requires_grad for p in one.parameters()):
                return f"holds a module {untrained}Module{kind}"
            if isinstance(one, Tensor):
                return f"holds a tensor {where}; use self.register_buffer for it"
    return None


def _name(path: str, part: nn.Module) -> str:
    return f"{path} ({type(part).__name__})" if path else type(part).__name__


def check_alike(function: Callable[..., nn.Module], modules: Sequence[nn.Module]) -> None:
    """Check that modules of several runs differ in their numbers only.

    Raises:
        TaskMistake: If they share tensors, or differ in shapes or plain attributes.
    """
    first = modules[0]
    for other in modules[1:]:
        if {id(one) for one in first.parameters()} & {id(one) for one in other.parameters()}:
            raise mistake(
                function, "returned a parameter that an earlier run has; build a new module"
            )
        attributes, others = dict(_attributes(first)), dict(_attributes(other))
        for key in [*attributes, *others]:
            one, two = (held.get(key, "nothing") for held in (attributes, others))
            if one != two:
                raise mistake(
                    function,
                    f"expected the modules of all runs to be alike, got {one} and {two} as {key} "
                    "for two seeds; use a setting, or a buffer for numbers that depend on the seed",
                )


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield what the modules of all runs must agree in, by name."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        yield name, f"{list(tensor.shape)} {tensor.dtype} {tensor.requires_grad}"
    for path, part in module.named_modules():
        yield f"the type of {path or 'the module'}", type(part).__name__
        for name, value in vars(part).items():
            if isinstance(value, _PLAIN):
                yield f"{path}.{name}" if path else name, value


def stack(
    modules: Sequence[nn.Module], dtype: torch.dtype, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return trained tensors and constant ones `R ...` by name: parameters, buffers.

    Args:
        modules: Modules of the runs, alike.
        dtype: Floating point format of the results.
        device: Device of the results.
    """
    parameters, buffers = stack_module_state(list(modules))
    tensors = {
        name: tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
        for name, tensor in {**parameters, **buffers}.items()
    }
    trained = {name for name, one in modules[0].named_parameters() if one.requires_grad}
    return (
        {name: tensor.contiguous() for name, tensor in tensors.items() if name in trained},
        {name: tensor for name, tensor in tensors.items() if name not in trained},
    )
