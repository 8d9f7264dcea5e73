"""Completion of names in the shell: sweeps, labels, tasks and estimators.

A shell shows no errors, so a name that cannot be looked up has no completions.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from raysweep.cli import remote
from raysweep.errors import RaysweepError

if TYPE_CHECKING:
    from raysweep.sweep.spec import Spec

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def sweeps(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the sweeps of the store that are not given yet."""
    names: list[str] = []
    with contextlib.suppress(RaysweepError, OSError):
        names = _names(context)
    given = _given_sweeps(context)
    return _items((name for name in names if name not in given), incomplete)


def _names(context: click.Context) -> list[str]:
    if url := _server(context):
        return remote.names(url)
    from raysweep.store.files import Files, store_uri
    from raysweep.store.listing import list_sweeps

    return list_sweeps(Files(store_uri(context.params.get("store"))))


def labels(kind: str) -> Complete:
    """Return the completion of labels of the given sweeps.

    Args:
        kind: Kind of the labels, `task` or `estimator`.
    """

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        every = (label for spec in _specs(context) for label in getattr(spec, f"{kind}_labels"))
        return _items(dict.fromkeys(every), incomplete)

    return complete


def metrics(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the metrics of the given sweeps, with their meanings."""
    known = {name: about for spec in _specs(context) for name, about in spec.metrics.items()}
    return [
        CompletionItem(name, help=about["meaning"])
        for name, about in known.items()
        if name.startswith(incomplete)
    ]


def names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return everything that `raysweep info` explains."""
    from raysweep.cli.info_text import names as explained

    return _items(sorted(explained()), incomplete)


def tasks(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of tasks."""
    from raysweep import registry

    return _items(registry.task_names(), incomplete)


def estimators(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of estimators, where a task is given those of its family."""
    from raysweep import registry

    families = registry.families()
    task = context.params.get("task") or next(iter(context.args), None)  # see `_given_sweeps`
    with contextlib.suppress(RaysweepError):
        if task is not None:
            family = registry.task(task).family
            families = tuple(one for one in families if one == family)
    every = {name for family in families for name in registry.estimator_names(family)}
    return _items(sorted(every), incomplete)


def _server(context: click.Context) -> str | None:
    """Return the address of the service that a command asks; None if it reads a store."""
    known = {param.name for param in context.command.params}
    if "server" not in known or context.params.get("store") is not None:
        return None
    given: str | None = context.params.get("server")
    if "store" in known:
        return given or os.environ.get(remote.VARIABLE)
    from raysweep.client.credentials import default_server

    return given or default_server()


def _given_sweeps(context: click.Context) -> tuple[str, ...]:
    """Return the sweeps before the incomplete word.

    After an option without a value click has assigned no arguments yet; they are in `args`.
    """
    given: Any = [context.params.get(name) for name in ("sweep", "first", "second")]
    several = (*given, *(context.params.get("sweeps") or ()), *context.args)
    return tuple(dict.fromkeys(name for name in several if name))


def _specs(context: click.Context) -> "list[Spec]":
    """Return the specs of the given sweeps, as far as they can be read."""
    from raysweep.store.files import store_uri
    from raysweep.store.sweep_store import SweepStore

    specs: list[Spec] = []
    if _server(context):
        return specs  # it would take several requests
    for name in _given_sweeps(context):
        with contextlib.suppress(RaysweepError, OSError):
            specs.append(SweepStore(store_uri(context.params.get("store")), name).spec())
    return specs


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
