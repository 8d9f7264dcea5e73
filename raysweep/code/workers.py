"""Loading of the user's code in a worker's process."""

import importlib
import os
import sys
from typing import Any

from raysweep import registry
from raysweep.code.modules import Code, Module, load, tasks_in
from raysweep.errors import SpecError


def install(code: Code) -> None:
    """Let packs name the tasks of the user's code in this process, for good.

    Raises:
        SpecError: If a module is neither sent along nor at its path.
    """
    tasks: list[Any] = list(code.tasks)
    for module in code.modules:
        tasks += tasks_in(_imported(module))
    registry.replace_added(tasks)


def _imported(module: Module) -> Any:
    try:
        return importlib.import_module(module.name)  # as sent along by Ray
    except ModuleNotFoundError as error:
        if error.name != module.name:
            raise
    if not os.path.exists(module.path):
        raise SpecError(
            f"the module {module.name} cannot be imported on this node; connect to Ray by its "
            "address rather than by ray.init, or give ray.init runtime_env={'py_modules': "
            f"[{module.path!r}]}}"
        )
    folder = os.path.dirname(module.path)
    if folder not in sys.path:
        sys.path.append(folder)  # for the modules next to it that it imports
    return load(module)
