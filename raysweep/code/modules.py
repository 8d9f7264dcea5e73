"""Modules of the user: where they are, and what workers need with them."""

import contextvars
import dataclasses
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from raysweep.errors import SpecError
from raysweep.sweep import sources
from raysweep.tasks import Task

_IMPORTED: contextvars.ContextVar[str | None] = contextvars.ContextVar("imported", default=None)


@dataclasses.dataclass(frozen=True)
class Module:
    """Module or package of the user, by its name without dots.

    Args:
        name: Name by which it is imported.
        path: File, or folder of a package.
    """

    name: str
    path: str


@dataclasses.dataclass(frozen=True)
class Code:
    """Tasks of the user, with the code that workers need for them.

    Args:
        tasks: Tasks that sweep files may name.
        modules: Modules to send to workers.
    """

    tasks: tuple[Task[Any], ...] = ()
    modules: tuple[Module, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tasks)

    @property
    def for_workers(self) -> "Code":
        """The code as workers get it: only tasks that they do not find in its modules.

        These are tasks of scripts, of notebooks, and of the inside of functions.
        """
        return Code(tuple(task for task in self.tasks if not _is_in_module(task)), self.modules)


NO_CODE = Code()


def _is_in_module(task: Task[Any]) -> bool:
    name = task.module
    module = sys.modules.get(name)
    if name == "__main__" or module is None:
        return False
    kind = type(task)
    return any(
        other is task
        or (type(other) is kind and kind.__module__ == name and other.name == task.name)
        for other in tasks_in(module)
    )


def tasks_in(module: ModuleType) -> Iterator[Task[Any]]:
    """Yield the tasks that a module defines, in its order: objects, or classes without arguments.

    Those that it imports from elsewhere are left out. The modules of a package are one.

    Raises:
        Exception: Whatever a class raises when it is called.
    """
    values = _values(module)
    kinds = [
        value
        for value in values
        if isinstance(value, type) and _is_class_in(value, module) and not missing_of(value)
    ]
    for value in values:
        if isinstance(value, type):
            if value in kinds:
                yield value()  # equal to no other, as it is new
        elif (
            isinstance(value, Task)
            and _is_of(value.module, module)
            and (type(value) not in kinds or value.name != type(value).name)
        ):
            yield value


def unfinished_in(module: ModuleType) -> Iterator[str]:
    """Yield, for each class of a task that a module defines but does not finish, why it is none."""
    for value in _values(module):
        if isinstance(value, type) and _is_class_in(value, module) and (lacks := missing_of(value)):
            yield f"the class {value.__name__} {lacks}"


def _values(module: ModuleType) -> list[Any]:
    """Return the values of a module's names, in order, those with two names once."""
    return list({id(value): value for value in vars(module).values()}.values())


def missing_of(kind: type[Task[Any]]) -> str:
    """Return what a class lacks to be a task, in words; empty if it is one."""
    lacks = sorted(getattr(kind, "__abstractmethods__", ()))
    lacks = lacks if hasattr(kind, "name") else ["name", *lacks]
    if lacks:
        return f"has no {', '.join(lacks)}"
    needed = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return f"cannot be called without {', '.join(needed)}" if needed else ""


def _is_class_in(value: type[Any], module: ModuleType) -> TypeGuard[type[Task[Any]]]:
    """Return whether a class of a task is of a module itself."""
    return issubclass(value, Task) and _is_of(value.__module__, module)


def _is_of(name: str, module: ModuleType) -> bool:
    """Return whether the module of a name is a module, or of the same package."""
    return name.partition(".")[0] == module.__name__.partition(".")[0]


def with_neighbours(names: Iterable[str]) -> tuple[Module, ...]:
    """Return the top modules of these, with those next to them that they import.

    What is installed as a distribution is left out: workers have it.

    Args:
        names: Names of modules that are imported.
    """
    modules: dict[str, Module] = {}
    for name in names:
        for path in sources.files(name) or ():
            top = _top_of(path, name)
            if top is not None:
                modules[top.name] = top
    # This reads the list of files of every distribution.
    installed = importlib.metadata.packages_distributions() if modules else {}
    return tuple(module for name, module in modules.items() if name not in installed)


def _top_of(path: Path, name: str) -> Module | None:
    """Return the module or package, next to that of a name, that a file belongs to."""
    first = sources.module_path(name.partition(".")[0])
    if first is None:
        return None
    root = first.parent.parent if first.name == "__init__.py" else first.parent
    try:
        part = path.relative_to(root).parts[0]
    except ValueError:
        return None
    return Module(part.removesuffix(".py"), str(root / part))


def load(module: Module) -> ModuleType:
    """Import a module from its path, under its name.

    Raises:
        Exception: Whatever its code raises.
    """
    path = Path(module.path)
    file = path / "__init__.py" if path.is_dir() else path
    locations = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(
        module.name, file, submodule_search_locations=locations
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module")
    made = importlib.util.module_from_spec(spec)
    sys.modules[module.name] = made
    before = _IMPORTED.set(file.name)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        forget([module.name])
        raise
    finally:
        _IMPORTED.reset(before)
    return made


def check_no_import() -> None:
    """Check that no module of the user is being imported, as a sweep must not train meanwhile.

    Raises:
        SpecError: If one is.
    """
    if (file := _IMPORTED.get()) is not None:
        raise SpecError(
            f"{file}: trains a sweep when it is imported; write raysweep.run below "
            'if __name__ == "__main__":'
        )


def forget(names: Iterable[str]) -> None:
    """Remove modules, and those below them, from those that are imported."""
    tops = set(names)
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
    importlib.invalidate_caches()
