"""Mistakes in the functions of a task, in one line with the user's line that led to them."""

import os
import sysconfig
import traceback
from collections.abc import Callable
from typing import Any

import torch

from raysweep import estimators, tasks
from raysweep.tasks.functions.exits import exit_call
from raysweep.tasks.functions.signature import TaskMistake, location
from raysweep.tasks.stacked.noise import REQUESTS

_LIBRARIES = tuple(
    os.path.realpath(sysconfig.get_path(name)) + os.sep
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_HERE = tuple(
    os.path.dirname(os.path.realpath(file)) + os.sep
    for file in (tasks.__file__, estimators.__file__)
)
RAISED = (Exception, SystemExit)
"""Errors of a function of the user."""
_MEMORY = (MemoryError, torch.OutOfMemoryError)

DRAWS = f"draws random numbers by itself; use {REQUESTS}"
_REASONS = {
    "data-dependent control flow": (
        "branches on a tensor, which may differ between the runs of a pack; use "
        "torch.where(condition, a, b)"
    ),
    ".item() on a Tensor": (
        "reads a number from a tensor, by .item(), float() or an argument that takes numbers only; "
        "compute with tensors. A float setting of the loss is a tensor, as runs of a pack may "
        "differ in it: name it among the arguments of the module's function, too, and it is a "
        "number"
    ),
    "random operation": DRAWS,
    "inplace arithmetic": "writes into a tensor that the runs share; use h = h + x, torch.stack or "
    "torch.where",
    "doesn't match the broadcast shape": "writes into a tensor that the runs share; use h = h + x, "
    "torch.stack or torch.where",
    "dynamic shape": "has a result whose size depends on values; use torch.where, or multiply by "
    "the mask",
    "Tensor.requires_grad_()": "asks for a gradient inside the loss; use torch.func.grad",
    "setup_context": (
        "calls a torch.autograd.Function that cannot be stacked; give it setup_context, and "
        "generate_vmap_rule = True"
    ),
    "may have escaped": (
        "computes its gradient in a way that cannot be stacked, as torch.utils.checkpoint does; "
        "call the module directly"
    ),
    "under vmap transform is not allowed": (
        "uses .data of a tensor, as .to() of a module does; use .detach() to read it, and leave "
        "changes of weights to the optimizer"
    ),
    "data pointer": "reads a tensor's memory, as .numpy() does; compute with torch",
}


def explain_stacking(function: Callable[..., Any], error: BaseException) -> BaseException:
    """Return the mistake that lets a function run alone but not stacked.

    If memory ran out, that error is returned as it is, here and in `explain`.
    """
    if isinstance(error, _MEMORY):
        return error
    if isinstance(error, TaskMistake | SystemExit):
        return explain(function, error)
    text = " ".join(str(error).split())
    reason = next((reason for part, reason in _REASONS.items() if part in text), None)
    if reason is None:
        reason = (
            f"works for one run, but not for stacked ones: {type(error).__name__}: {text}; use "
            "operations that torch.func.vmap can map"
        )
    return TaskMistake(f"{function.__name__} ({_line(error) or location(function)}): {reason}")


def explain(function: Callable[..., Any], error: BaseException) -> BaseException:
    """Return the mistake for an error that a function of the user raised."""
    if isinstance(error, _MEMORY):
        return error
    if isinstance(error, TaskMistake):
        return _named(function, error)
    line = _line(error) or location(function)
    if isinstance(error, SystemExit):
        text = f"called {exit_call(error)}; raise an error instead"
    else:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return TaskMistake(f"{function.__name__} ({line}): {text}")


def mistake(function: Callable[..., Any], text: str) -> TaskMistake:
    """Return a mistake with the name, the file and the line of a function."""
    return TaskMistake(f"{function.__name__} ({location(function)}): {text}")


def _named(function: Callable[..., Any], error: TaskMistake) -> TaskMistake:
    """Return a mistake that names the function, as one that was raised inside it does not."""
    if str(error).startswith(f"{function.__name__} ("):
        return error
    return TaskMistake(f"{function.__name__} ({_line(error) or location(function)}): {error}")


def _line(error: BaseException) -> str | None:
    """Return file and line of the innermost frame of the user's code; None if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = os.path.realpath(frame.filename)
        if not path.startswith((*_LIBRARIES, *_HERE)) and not frame.filename.startswith("<frozen"):
            return f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return None
