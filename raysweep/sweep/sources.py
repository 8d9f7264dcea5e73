"""The source of a task or an estimator as a short digest, read from files without an import.

The module that defines the class is read, and the modules that it imports, directly or through
others, as far as they belong to the same package, lie beside it outside of `site-packages`, or are
raysweep's own tasks and estimators. A name that a package's `__init__` only imports from
elsewhere is followed to where it is defined, so that a new estimator changes nobody else's digest.
Comments, docstrings and blank lines do not count.
"""

import ast
import functools
import hashlib
import importlib.util
import io
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

OWN = ("raysweep.estimators", "raysweep.tasks")
_Stamp = tuple[int, int]  # time of the last change, and size
JOINT = "+"  # between the task's digest and the estimator's
_UNREADABLE = (OSError, SyntaxError, ValueError, tokenize.TokenError)


def code(task_module: str, estimator_module: str) -> str | None:
    """The digests of a task's and an estimator's source; None where one of them has no file.

    Args:
        task_module: The module that defines the task's class.
        estimator_module: The module that defines the estimator's class.
    """
    found = [source_digest(each) for each in (task_module, estimator_module)]
    known = [each for each in found if each is not None]
    return JOINT.join(known) if len(known) == len(found) else None


def source_digest(module: str) -> str | None:
    """The first 12 hexadecimal digits of the SHA-256 of a module's source and what it imports."""
    known = _known(module)
    if not known.is_current:
        _known.cache_clear()
        known = _known(module)
    return known.digest


@functools.cache
def _known(module: str) -> "_Digest":
    return _Digest(module)


class _Digest:
    """A digest, and the files that it was made of.

    Args:
        module: The module that defines the class.
    """

    def __init__(self, module: str) -> None:
        self.module, self.path = module, module_path(module)
        self.files: dict[Path, _Stamp] = {}
        try:
            sources = self._sources(module)
        except _UNREADABLE:
            sources = {}
        self.digest = None
        if module in sources:
            text = "".join(f"{name}\n{sources[name]}\n" for name in sorted(sources))
            self.digest = hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def is_current(self) -> bool:
        """Whether the module is still that file, and no file has changed since."""
        try:
            return module_path(self.module) == self.path and all(
                _stamp(path) == stamp for path, stamp in self.files.items()
            )
        except OSError:
            return False

    def _sources(self, module: str) -> dict[str, str]:
        """The normalised text of the module and of those that it imports, by name."""
        followed = _Followed(module)
        found: dict[str, str] = {}
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = module_path(name) if name not in found and followed.has(name) else None
            if path is not None:
                self.files[path] = _stamp(path)
                parsed = _parse(path, self.files[path])
                found[name] = parsed.text
                waiting += parsed.imports(name, followed)
        return found


class _Followed:
    """The modules that belong to a source.

    Args:
        module: Where it begins.
    """

    def __init__(self, module: str) -> None:
        path = module_path(module)
        alone = path is not None and "." not in module and path.name != "__init__.py"
        self.folder = path.parent if alone and path is not None else None
        if str(self.folder) in _installed():
            self.folder = None
        self._known = dict.fromkeys((_package(module), *OWN), True)

    def has(self, name: str) -> bool:
        """Whether the module is one of them."""
        top = _package(name)
        if top not in self._known:
            path = module_path(top) if self.folder is not None and "." not in top and top else None
            self._known[top] = path is not None and self.folder in (path.parent, path.parent.parent)
        return self._known[top]


def _package(module: str) -> str:
    """The package that a module belongs to; raysweep's are one level below it."""
    top, *below = module.split(".")
    return f"raysweep.{below[0]}" if top == "raysweep" and below else top


@functools.cache
def _installed() -> frozenset[str]:
    return frozenset(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))


def module_path(name: str) -> Path | None:
    """The file of a module, found without importing it or its packages; None if it has none."""
    top, *rest = name.split(".")
    if not all(part.isidentifier() for part in (top, *rest)):
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
    about = path.stat()
    return about.st_mtime_ns, about.st_size


@functools.lru_cache(maxsize=1024)
def _parse(path: Path, _changed: _Stamp) -> "_Parsed":
    return _Parsed(path)


class _Parsed:
    """One file of Python.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        with tokenize.open(path) as file:
            text = file.read()
        self.is_package = path.name == "__init__.py"
        nodes = list(ast.walk(ast.parse(text)))
        self.text = _normalised(text, nodes)
        self._nodes = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]

    def imports(self, name: str, followed: _Followed) -> Iterator[str]:
        """The modules that the file imports, as far as they are followed.

        Args:
            name: The module that the file is.
            followed: The modules that count.
        """
        for node in self._nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if followed.has(alias.name))
            elif followed.has(module := self._absolute(node, name)):
                yield from (_defining(module, alias.name) for alias in node.names)

    def source_of(self, name: str, wanted: str) -> tuple[str, str] | None:
        """The module and the name in it under which a name of this file is imported, if it is."""
        for node in self._nodes:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == wanted:
                        return self._absolute(node, name), alias.name
        return None

    def _absolute(self, node: ast.ImportFrom, name: str) -> str:
        """The module that an import is from, its leading dots resolved."""
        if not node.level:
            return node.module or ""
        parts = name.split(".")
        kept = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])


def _defining(module: str, wanted: str) -> str:
    """The module that `from module import wanted` is about."""
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
    """The text without comments, docstrings, blank lines and spaces at the ends of lines.

    It is cut, not written anew from the tree, so that every version of Python gives the same.
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
    """The rows of the text that a docstring at the head of these statements takes."""
    first = body[0] if body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return range(0)
    is_text = isinstance(first.value.value, str)
    return range(first.lineno - 1, first.end_lineno or first.lineno) if is_text else range(0)
