"""Digests of the source of tasks and estimators, read from files without importing them.

A digest covers the module that defines the class, and the modules that it imports, directly or
indirectly, if they belong to the same package, are next to it outside of `site-packages`, or are
raysweep's own tasks and estimators. A name that a package's `__init__` only imports from elsewhere
is followed to the module that defines it, so that a new estimator changes no other digest.
Comments, docstrings and blank lines do not count.
"""

import ast
import functools
import hashlib
import importlib.util
import io
import os
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

OWN = ("raysweep.estimators", "raysweep.tasks")
LIBRARIES = frozenset({"site-packages", "dist-packages"})  # folders of installed packages
_Stamp = tuple[int, int]  # time of the last change, and size
JOINT = "+"  # between the task's digest and the estimator's
_UNREADABLE = (OSError, SyntaxError, ValueError, tokenize.TokenError)


def code(task_module: str, estimator_module: str, task_source: str = "") -> str | None:
    """Return the joined digests of a task and an estimator; None if one of them has no file.

    Args:
        task_module: Name of the module that defines the task's class.
        estimator_module: Name of the module that defines the estimator's class.
        task_source: Text of the task's code, where no module holds it.
    """
    task = digest_of_text(task_source) if task_source else source_digest(task_module)
    digests = [task, source_digest(estimator_module)]
    known = [digest for digest in digests if digest is not None]
    return JOINT.join(known) if len(known) == len(digests) else None


def source_digest(module: str) -> str | None:
    """Return 12 hexadecimal digits of the SHA-256 of a module and the modules it imports."""
    known = _known(module)
    if not known.is_current:
        _known.cache_clear()
        known = _known(module)
    return known.digest


def digest_of_text(text: str) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def files(module: str) -> dict[Path, str]:
    """Return the files that the digest of a module covers, with their names in it.

    Those of raysweep are left out.
    """
    source_digest(module)
    known = _known(module)
    return {path: name for name, path in known.paths.items() if not name.startswith("raysweep.")}


@functools.cache
def _known(module: str) -> "_Digest":
    return _Digest(module)


class _Digest:
    """A digest, and the files that it covers.

    Args:
        module: Name of the module that defines the class.
    """

    def __init__(self, module: str) -> None:
        self.module, self.path = module, module_path(module)
        self.files: dict[Path, _Stamp] = {}
        self.paths: dict[str, Path] = {}
        try:
            sources = self._sources(module)
        except _UNREADABLE:
            sources = {}
        self.digest = None
        if module in sources:
            text = "".join(f"{name}\n{sources[name]}\n" for name in sorted(sources))
            self.digest = digest_of_text(text)

    @property
    def is_current(self) -> bool:
        """Whether the module is still the same file, and no file has changed since."""
        try:
            return module_path(self.module) == self.path and all(
                _stamp(path) == stamp for path, stamp in self.files.items()
            )
        except OSError:
            return False

    def _sources(self, module: str) -> dict[str, str]:
        """Return the normalised text of the module and of those that it imports, by name."""
        followed = _Followed(module)
        sources: dict[str, str] = {}
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = module_path(name) if name not in sources and followed.has(name) else None
            if path is not None:
                self.files[path], self.paths[name] = _stamp(path), path
                parsed = _parse(path, self.files[path])
                sources[name] = parsed.text
                waiting += parsed.imports(name, followed)
        return sources


class _Followed:
    """Modules that a digest covers.

    Args:
        module: Name of the module that defines the class.
    """

    def __init__(self, module: str) -> None:
        path = module_path(module)
        alone = path is not None and "." not in module and path.name != "__init__.py"
        self.folder = path.parent if alone and path is not None else None
        if self.folder is not None and is_library(self.folder):
            self.folder = None
        self._known = dict.fromkeys((_package(module), *OWN), True)

    def has(self, name: str) -> bool:
        """Check whether the digest covers the module."""
        top = _package(name)
        if top not in self._known:
            path = module_path(top) if self.folder is not None and "." not in top and top else None
            self._known[top] = path is not None and self.folder in (path.parent, path.parent.parent)
        return self._known[top]


def _package(module: str) -> str:
    """Return the package that a module belongs to; for raysweep, the one a level below it."""
    top, *below = module.split(".")
    return f"raysweep.{below[0]}" if top == "raysweep" and below else top


def is_library(path: Path) -> bool:
    """Return whether a file or folder belongs to Python or to installed packages of any Python.

    Packages may come from another environment than the present one, whose folder is on the path.
    """
    path = Path(os.path.realpath(path))
    return not LIBRARIES.isdisjoint(path.parts) or any(
        path.is_relative_to(folder) for folder in _installed()
    )


@functools.cache
def _installed() -> frozenset[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(os.path.realpath(sysconfig.get_path(name)) for name in names)


def module_path(name: str) -> Path | None:
    """Find the file of a module without importing it or its packages; None if there is none.

    There is none for `__main__`, which is another file in another program.
    """
    top, *rest = name.split(".")
    if top == "__main__" or not all(part.isidentifier() for part in (top, *rest)):
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        below = Path(folder, *rest)
        for path in (below.with_name(f"{below.name}.py"), below / "__init__.py"):
            if path.is_file():
                return path
    return None


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=1024)
def _parse(path: Path, _changed: _Stamp) -> "_Parsed":
    return _Parsed(path)


class _Parsed:
    """A parsed Python file.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        with tokenize.open(path) as file:
            text = file.read()
        self.is_package = path.name == "__init__.py"
        nodes = list(ast.walk(ast.parse(text)))
        self.text = _normalised(text, nodes)
        self._nodes = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]

    def imports(self, name: str, followed: _Followed) -> Iterator[str]:
        """Yield the modules that the file imports and that the digest covers.

        Args:
            name: Name of the file's module.
            followed: Modules that the digest covers.
        """
        for node in self._nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if followed.has(alias.name))
            elif followed.has(module := self._absolute(node, name)):
                yield from (_defining(module, alias.name) for alias in node.names)

    def source_of(self, name: str, wanted: str) -> tuple[str, str] | None:
        """Return the module and the name that this file imports under a name; None if neither."""
        for node in self._nodes:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == wanted:
                        return self._absolute(node, name), alias.name
        return None

    def _absolute(self, node: ast.ImportFrom, name: str) -> str:
        """Return the module that an import is from, with its leading dots resolved."""
        if not node.level:
            return node.module or ""
        parts = name.split(".")
        kept = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])


def _defining(module: str, wanted: str) -> str:
    """Return the module that defines the name in `from module import wanted`."""
    seen = set()
    while (module, wanted) not in seen:
        seen.add((module, wanted))
        below = f"{module}.{wanted}"
        if module_path(below) is not None:
            return below
        path = module_path(module)
        if path is None or path.name != "__init__.py":
            return module
        source = _parse(path, _stamp(path)).source_of(module, wanted)
        if source is None:
            return module
        module, wanted = source
    return module


def _normalised(text: str, nodes: Sequence[ast.AST]) -> str:
    """Remove comments, docstrings, blank lines and spaces at the ends of lines from a text.

    The text is cut rather than generated from the tree, so that it does not depend on Python's
    version.
    """
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for row in _docstring_rows(node.body):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _docstring_rows(body: Sequence[ast.stmt]) -> range:
    """Return the lines of the docstring that these statements begin with, if they have one."""
    first = body[0] if body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return range(0)
    is_text = isinstance(first.value.value, str)
    return range(first.lineno - 1, first.end_lineno or first.lineno) if is_text else range(0)
