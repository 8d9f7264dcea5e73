"""Tasks that Python code hands over: of its own modules, of a script, or of a notebook."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from raysweep import registry
from raysweep.code.modules import Code, with_neighbours
from raysweep.errors import SpecError
from raysweep.tasks import Task


@contextlib.contextmanager
def added(tasks: Iterable[Any]) -> Iterator[Code]:
    """Let sweep files name these tasks inside a `with` block.

    Raises:
        SpecError: If one is no task, or two have one name.
    """
    given = list(tasks)
    for one in given:
        if not isinstance(one, Task):
            name = getattr(one, "__name__", None) or repr(one)
            raise SpecError(
                "tasks: expected functions decorated by raysweep.task or stacked_task, got "
                f"{name}; put "
                '@raysweep.task(metrics={"train_loss": "min"}) above it'
            )
    names = dict.fromkeys(task.module for task in given)
    modules = with_neighbours(name for name in names if name != "__main__")
    with registry.added(given):
        yield Code(tuple(given), modules)
