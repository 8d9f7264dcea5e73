"""Commands at a service: it renders the texts that the same commands print of a store."""

import codecs
import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from raysweep.cli.output import encoding, show, width
from raysweep.errors import SpecError
from raysweep.text import printable

if TYPE_CHECKING:
    from raysweep.client.connection import Connection
    from raysweep.client.results import RemoteResults
    from raysweep.client.server import Server

VARIABLE = "RAYSWEEP_SERVER"
ENCODINGS = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252")  # that a service knows
LONGEST = 100_000  # characters of a line that a service is asked for
COMPLETION_S = 1.0  # that a shell waits for names
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
_NAME = re.compile(r"\w[\w.+=-]*\.png")  # of a file, as a service may choose it


def service(store: str | None, server: str | None, *, quick: bool = False) -> "Server | None":
    """Return the service that a command asks; None for one that reads a store.

    Args:
        store: The store that was given, or None.
        server: Address of the service that was given, or None.
        quick: Whether a shell waits for the answer.
    """
    if store is not None and server is not None:
        raise click.UsageError("give --store or --server, not both")
    if store is not None:
        return None
    url = server or os.environ.get(VARIABLE)
    if not url:
        return None
    return _quick(url) if quick else connected(url)


def connected(url: str | None) -> "Server":
    """Return a service; the default one if no address is given."""
    from raysweep.client.server import Server

    return Server(url)


def _quick(url: str) -> "Server":
    """Return a service for a shell, which does not wait long for names."""
    from raysweep.client.connection import Connection
    from raysweep.client.server import Server

    return Server(connection=Connection(url, timeout_s=COMPLETION_S, pauses_s=()))


def opened(url: str | None, sweep: str) -> "RemoteResults":
    """Return a sweep of a service; the default service if no address is given."""
    return _of(connected(url), sweep)


@contextlib.contextmanager
def spelt_changes(option: str) -> Iterator[None]:
    """Let messages about changes of a sweep file name the option that gave them."""
    try:
        yield
    except SpecError as error:
        if error.field:
            raise
        lines = [re.sub(r"^changes(?=[ :])", option, line) for line in error.problems]
        raise SpecError(lines) from error


def text(service: "Server", path: str, options: Mapping[str, Any]) -> int:
    """Show a text of a service."""
    show(service.connection.text(path, **{**options, **_room(options)}), nl=False)
    return 0


def of_sweep(service: "Server", sweep: str, part: str, options: Mapping[str, Any]) -> int:
    """Show a text about a sweep, such as its `top` configurations."""
    return text(service, _of(service, sweep).path(part), options)


def warn(service: "Server", sweep: str, *about: str) -> None:
    """Show on stderr what a reader of the results must know."""
    for line in warnings(service, sweep, *about):
        show(line, err=True)


def warnings(service: "Server", sweep: str, *about: str) -> list[str]:
    """Return what a reader of the results must know, a line each.

    Args:
        service: The service to ask.
        sweep: Name of the sweep.
        about: `speed`, `defaults` or `code`; the last two if none is given.
    """
    lines: list[str] = service.connection.data(
        _of(service, sweep).path("warnings"), about=list(about)
    )
    return lines


def status(service: "Server", sweep: str | None, *, failed: bool) -> int:
    """Show the progress of a sweep, or of all sweeps of a service."""
    if sweep is None:
        return text(service, "list", {})
    if not failed:
        warn(service, sweep, "speed")
    return of_sweep(service, sweep, "status", {"failed": failed})


def table(service: "Server", sweeps: Sequence[str], format: str, options: Mapping[str, Any]) -> int:
    """Print the result table of a sweep, or one of several."""
    names = list(dict.fromkeys(sweeps))
    about = ("speed", "code", *(["defaults"] if format == "csv" else []))
    for line in [line for name in names for line in warnings(service, name, *about)]:
        show(line, err=True)
    if format != "text":
        return text(service, "compare", {"sweep": names, **options, "format": format})
    return print_table(service.connection, {"sweep": names, **options})


def print_table(connection: "Connection", options: Mapping[str, Any]) -> int:
    """Print a result table as text: with styles on a terminal that can show them."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal or encoding().lower() != "utf-8":
        given = {**options, "format": "text"}
        show(connection.text("compare", **given, **_room(given)), nl=False)
        return 0
    given = {**options, "format": "terminal", "width": console.width}
    styled = connection.text("compare", **given)
    for line in styled.splitlines():
        safe = "".join(
            part if index % 2 else printable(part) for index, part in enumerate(_STYLE.split(line))
        )
        console.print(Text.from_ansi(safe), soft_wrap=True, highlight=False)
    return 0


def sql(service: "Server", sweep: str, query: str, format: str) -> int:
    """Query a sweep with SQL, and show the rows."""
    given = {"format": format, **_room({"format": format})}
    answer = service.connection.send("POST", _of(service, sweep).path("sql"), given, content=query)
    count = answer.headers.get("X-Raysweep-Statements", "1")
    if count != "1":
        show(
            f"ran {count} statements; shown are the rows of the last one that returns any", err=True
        )
    if format == "csv":
        with click.open_file("-", "wb") as out:
            out.write(answer.content)
    else:
        show(answer.text, nl=False)
    return 0


def plot(
    service: "Server", sweep: str, kind: str, out: str | None, options: Mapping[str, Any]
) -> int:
    """Draw a figure of a sweep's results."""
    from raysweep.client.shown import write
    from raysweep.results.output_file import FIGURES, check_suffix

    results = _of(service, sweep)
    warn(service, sweep)
    if out is not None:
        check_suffix(Path(out), FIGURES, field="out")
    suffix = ".png" if out is None else Path(out).suffix.lower()
    drawn = service.connection.send(
        "GET", results.path("figures", kind), {**options, "format": suffix[1:]}
    )
    path = Path(_default_name(results, kind, drawn.headers) if out is None else out)
    write(path, drawn.content, field="out")
    if note := unquote(drawn.headers.get("X-Raysweep-Note", "")):
        show(note, err=True)
    show(str(path))
    return 0


def _default_name(results: "RemoteResults", kind: str, headers: Mapping[str, str]) -> str:
    """Return the name of a figure's file: as the service says, if it is a plain name."""
    name = unquote(headers.get("X-Raysweep-File", ""))
    return name if _NAME.fullmatch(name) else f"{results.sweep}-{kind}.png"


def report(service: "Server", sweep: str, out: str | None, select: str | None) -> int:
    """Write the report of a sweep."""
    warn(service, sweep)
    show(str(_of(service, sweep).report(out, select=select)))
    return 0


def deletion(service: "Server", sweep: str, where: str | None) -> dict[str, Any]:
    """Return what would be deleted: its `text`, a `note`, and numbers of `runs` and `packs`."""
    chosen: dict[str, Any] = service.connection.data(
        _of(service, sweep).path("deletion"), where=where
    )
    return chosen


def delete(service: "Server", sweep: str, where: str | None) -> dict[str, Any]:
    """Delete a sweep, or its runs that meet a condition; return what was deleted of them."""
    results = _of(service, sweep)
    if where is None:
        results.remove()
        return {}
    answer = service.connection.send("DELETE", results.path("runs"), {"where": where})
    deleted: dict[str, Any] = answer.json()
    return deleted


def latest(service: "Server") -> str:
    """Return the sweep whose last session started last."""
    return str(service.connection.data("latest")["name"])


def names(url: str) -> list[str]:
    """Return the sweeps of a service for a shell, which does not wait long."""
    return [sweep["name"] for sweep in _quick(url).connection.data("sweeps")]


def _of(service: "Server", sweep: str) -> "RemoteResults":
    from raysweep.client.results import RemoteResults

    return RemoteResults(service.connection, sweep)


def _room(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the room for a text as parameters; none for other formats."""
    if options.get("format", "text") != "text":
        return {}
    columns = width()
    try:
        name = codecs.lookup(encoding()).name
    except LookupError:
        name = "utf-8"
    return {
        "width": None if columns is None else min(columns, LONGEST),
        "encoding": name if name in ENCODINGS else "ascii",
    }
