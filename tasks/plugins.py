"""Loading of plug-ins: entry points of installed packages."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any


def load(plugin: EntryPoint, finish: Callable[[Any], Any] = lambda loaded: loaded) -> Any:
    """Load a plug-in.

    Args:
        plugin: Entry point of the plug-in.
        finish: Function that is applied to the loaded object.

    Raises:
        ValueError: If its code raises an error, in one line with its distribution.
    """
    try:
        return finish(plugin.load())
    except Exception as error:
        kind = plugin.group.rpartition(".")[2].removesuffix("s")
        text = " ".join(str(error).split())
        raise ValueError(
            f"{kind} {plugin.name!r}: the plug-in {plugin.value} of {distribution(plugin)} cannot "
            f"be loaded: {type(error).__name__}{': ' if text else ''}{text}; repair or uninstall it"
        ) from error


def distribution(plugin: EntryPoint) -> str:
    """Return the name and the version of the package that declares a plug-in."""
    if plugin.dist is None:
        return "an unknown package"
    return f"{plugin.dist.name} {plugin.dist.version}"
