"""Tasks from Python files and package folders that the user names."""

import contextlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from raysweep import registry
from raysweep.code.modules import (
    Code,
    Module,
    forget,
    load,
    tasks_in,
    unfinished_in,
    with_neighbours,
)
from raysweep.errors import SpecError
from raysweep.tasks import Task
from raysweep.tasks.functions.exits import exit_call
from raysweep.tasks.functions.signature import TaskMistake


@contextlib.contextmanager
def added(paths: Sequence[str | Path]) -> Iterator[Code]:
    """Let sweep files name the tasks of Python files and folders, inside a `with` block.

    Args:
        paths: Python files, or folders of packages. Modules next to one of them can be imported.

    Raises:
        SpecError: With a line for each path that is no module, cannot be imported, or has mistakes
            in its tasks; or if no path has a task.
    """
    if not paths:
        yield Code()
        return
    paths = list({os.path.realpath(path): path for path in paths}.values())
    folders = list(dict.fromkeys(str(Path(path).absolute().parent) for path in paths))
    before = set(sys.modules)
    folders = [folder for folder in folders if folder not in sys.path]
    sys.path += folders  # at the end, so that nothing there hides an installed package
    try:
        code = _loaded([Path(path).absolute() for path in paths])
        with registry.added(code.tasks):
            yield code
    finally:
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        forget(name for name in new if _is_in(name, paths))
        for folder in folders:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


def _loaded(paths: Sequence[Path]) -> Code:
    problems: list[str] = []
    tasks: list[Task[Any]] = []
    names: list[str] = []
    unfinished: list[str] = []
    for path in paths:
        try:
            module = load(_module(path))
            tasks += tasks_in(module)
        except SpecError as error:
            problems += error.problems
        except TaskMistake as mistake:
            problems += str(mistake).splitlines()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
            problems.append(f"{path.name}: cannot be imported: {_error_line(error, path)}")
        else:
            unfinished += unfinished_in(module)
            names.append(module.__name__)
    if problems:
        raise SpecError(problems)
    if not tasks:
        files = ", ".join(path.name for path in paths)
        if unfinished:
            raise SpecError(f"no task in {files}: {', '.join(unfinished)}")
        raise SpecError(
            f"no task in {files}; put "
            '@raysweep.task(metrics={"train_loss": "min"}) above the function that trains'
        )
    return Code(tuple(tasks), with_neighbours(names))


def _module(path: Path) -> Module:
    """Return the module of a path.

    Raises:
        SpecError: If it cannot be one, in one line.
    """
    name = path.name.removesuffix(".py")
    if not path.exists():
        raise SpecError(f"{path}: no such file or folder")
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise SpecError(
            f"{path}: expected a Python file, or a folder with an __init__.py; name the files in "
            "it one by one"
        )
    if path.is_file() and (path.suffix != ".py" or path.name == "__init__.py"):
        raise SpecError(f"{path}: expected a Python file, NAME.py, or a package's folder")
    if not name.isidentifier():
        better = "".join(sign if sign.isalnum() else "_" for sign in name)
        raise SpecError(
            f"{path.name}: Python cannot import a module of the name {name!r}; rename it, for "
            f"example to {better if better.isidentifier() else 'my_task'}"
        )
    _check_free(name, path)
    return Module(name, str(path))


def _check_free(name: str, path: Path) -> None:
    """Check that no other module has the name.

    Raises:
        SpecError: If one has.
    """
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    file = path / "__init__.py" if path.is_dir() else path
    if spec.origin is None or not os.path.exists(spec.origin):
        same = spec.origin is None and spec.submodule_search_locations is not None
    else:
        same = os.path.samefile(spec.origin, file)
    if not same:
        raise SpecError(
            f"{path.name}: there is a module {name!r} already ({spec.origin or 'built in'}), which "
            "it would hide; rename the file"
        )


def _error_line(error: BaseException, path: Path) -> str:
    """Return an error in a module as one line, with the module's line that led to it."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, SystemExit):
        text = f"it called {exit_call(error)}"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    root = str(path if path.is_dir() else path.parent)
    lines = [frame for frame in frames if frame.filename.startswith(root)]
    where = f" ({os.path.basename(lines[-1].filename)}:{lines[-1].lineno})" if lines else ""
    return f"{type(error).__name__}: {text}{where}"


def _is_in(name: str, paths: Sequence[str | Path]) -> bool:
    """Return whether an imported module is one of the paths, or next to one of them."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    folders = {Path(path).absolute().parent for path in paths}
    return any(parent in folders for parent in Path(file).parents[:2])
