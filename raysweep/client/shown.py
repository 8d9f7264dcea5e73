"""Tables and figures that a service computes, and that show themselves as those of `Results`."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.client.connection import Connection, Options
from raysweep.client.states import ended_text
from raysweep.errors import SpecError, one_of
from raysweep.results.output_file import FIGURES, check_suffix, written_whole

if TYPE_CHECKING:
    from raysweep.figures.layout import Figure
    from raysweep.formats.grid import Grid

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")
NOTEBOOK_DPI = 144  # of a picture in a notebook
DPI = 200  # of a file


class RemoteTable:
    """Table of a sweep's results, which shows itself and can be rendered.

    The service computes each format when it is asked for, the text at once.

    Args:
        connection: Connection to the service.
        path: Path of the table below that of the interface.
        options: Parameters of the query.
        formats: Formats in which the service renders it.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        options: Options,
        formats: Sequence[str] = FORMATS,
    ) -> None:
        self._connection, self._path, self._options = connection, path, options
        self._formats = formats
        self._text = self.render("text")

    def render(self, format: str) -> str:
        """Return the table as `text`, `markdown`, `latex`, `html`, `csv` or `json`.

        Raises:
            SpecError: If there is no such format, as statistics have neither `latex` nor `html`.
            ServerError: If the service cannot be reached.
        """
        if format not in self._formats:
            raise SpecError(one_of(format, self._formats), field="format")
        return self._rendered(format)

    def _rendered(self, format: str) -> str:
        return self._connection.text(self._path, **self._options, format=format)

    @property
    def data(self) -> Any:
        """Content of the table as plain data, unrounded."""
        return json.loads(self._rendered("json"))

    def __repr__(self) -> str:
        """Return the table as aligned text."""
        return self._text.removesuffix("\n")

    def _repr_html_(self) -> str:
        """Return the table as HTML, which notebooks show."""
        return self._rendered("notebook")


class RemoteFigure:
    """Figure of a sweep's results, which the service draws; notebooks show it.

    Args:
        connection: Connection to the service.
        path: Path of the figure below that of the interface.
        options: Parameters of the query.
    """

    def __init__(self, connection: Connection, path: str, options: Options) -> None:
        self._connection, self._path, self._options = connection, path, options
        self.description: Mapping[str, Any] = connection.data(path, **options, format="json")

    def save(self, file: str | Path, *, dpi: int = DPI) -> Path:
        """Write the figure to a file, which is replaced if it exists, and return its path.

        Args:
            file: Path of the file: a `.png`, `.pdf` or `.svg` is a picture, an `.html` an
                interactive page, a `.json` the description.
            dpi: Pixels per inch of a PNG.

        Raises:
            SpecError: If the file cannot be written.
            ServerError: If the service cannot be reached.
        """
        path = Path(file)
        check_suffix(path, FIGURES, field="file")
        write(path, self._drawn(path.suffix.lower()[1:], dpi), field="file")
        return path

    def _drawn(self, format: str, dpi: int) -> bytes:
        options = {**self._options, "format": format, "dpi": dpi}
        return self._connection.send("GET", self._path, options).content

    def chart(self) -> "Figure":
        """Return the figure as a chart that Altair can change."""
        from raysweep.figures.layout import chart_of

        return chart_of({**self.description})

    def __repr__(self) -> str:
        """Return the number of panels."""
        return f"{len(self.description['concat'])} panels"

    def _repr_mimebundle_(self, *_args: Any, **_options: Any) -> dict[str, Any]:
        """Return the description, for notebooks that draw it, and a picture for all others."""
        version = str(self.description.get("$schema", "/v6")).rpartition("/v")[2].partition(".")[0]
        return {
            "text/plain": repr(self),
            f"application/vnd.vegalite.v{version}+json": self.description,
            "image/png": base64.b64encode(self._drawn("png", NOTEBOOK_DPI)).decode(),
        }


class RemoteSweeps(tuple[Mapping[str, Any], ...]):
    """Sweeps of a service as plain data, which show themselves as a table."""

    __slots__ = ()

    def _grids(self) -> "list[Grid]":
        from raysweep.formats.grid import plain

        head = ["sweep", "state", "runs ended", "owner"]
        rows = [
            [sweep["name"], sweep["state"], ended_text(sweep["runs"]), sweep["owner"]]
            for sweep in self
        ]
        for name, texts in (
            ("tags", [", ".join(sweep["tags"]) for sweep in self]),
            ("description", [sweep["description"] for sweep in self]),
        ):
            if any(texts):
                head.append(name)
                rows = [[*row, text] for row, text in zip(rows, texts, strict=True)]
        return [plain(head, rows)]

    def __repr__(self) -> str:
        """Return the sweeps as aligned text."""
        from raysweep.formats.text import as_text

        return as_text(self._grids()).removesuffix("\n")

    def _repr_html_(self) -> str:
        """Return the sweeps as HTML, which notebooks show."""
        from raysweep.formats.markup import as_notebook

        return as_notebook(self._grids())


def write(path: Path, content: bytes, field: str) -> None:
    """Write a file completely or not at all.

    Args:
        path: The file, which is replaced if it exists.
        content: Content of the file.
        field: Name of the argument that gave the path.

    Raises:
        SpecError: If it cannot be written.
    """
    with written_whole(path, field=field) as aside:
        aside.write_bytes(content)
