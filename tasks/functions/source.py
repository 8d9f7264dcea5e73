"""Text of a function of a script or a notebook, with what it uses there."""

import inspect
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any


def text_of(function: Callable[..., Any]) -> str:
    """Return the source of a function of `__main__` and of the functions and classes it uses.

    Only what is defined in `__main__` counts; the text is empty for functions of other modules,
    whose files hold it, and where Python does not know the source.
    """
    if function.__module__ != "__main__":
        return ""
    parts: dict[str, str] = {}
    waiting: list[Any] = [function]
    while waiting:
        used = waiting.pop()
        if used.__qualname__ in parts:
            continue
        try:
            parts[used.__qualname__] = inspect.getsource(used)
        except (OSError, TypeError):
            continue
        waiting += [one for one in _used_by(used) if getattr(one, "__module__", "") == "__main__"]
    return "\n".join(parts[name] for name in sorted(parts))


def _used_by(used: Any) -> list[Any]:
    """Return the functions and classes of `__main__` whose names the code of one of them holds."""
    known = vars(sys.modules["__main__"])
    functions = [used] if isinstance(used, FunctionType) else list(vars(used).values())
    names = {
        name for one in functions if isinstance(one, FunctionType) for name in _names(one.__code__)
    }
    values = [known[name] for name in sorted(names) if name in known]
    values = [getattr(type(one), "function", one) for one in values]
    return [one for one in values if isinstance(one, FunctionType | type)]


def _names(code: CodeType) -> set[str]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*map(_names, inner))
