"""Progress in a notebook: one output of a cell, whose content is replaced."""

import importlib
import io
from typing import Any

from rich.console import Console, RenderableType

WIDTH = 100
_PRE = '<pre style="line-height: 1.2; white-space: pre; overflow-x: auto">{code}</pre>'


class Output:
    """Output of the cell that runs now, in the notebook of this process."""

    def __init__(self) -> None:
        display: Any = importlib.import_module("IPython.display").display
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, content: RenderableType) -> None:
        """Replace the output by other content."""
        console = Console(
            file=io.StringIO(),
            record=True,
            width=WIDTH,
            force_terminal=True,
            force_jupyter=False,
            color_system="truecolor",
        )
        console.print(content, highlight=False)
        text = console.export_text(clear=False)
        html = console.export_html(inline_styles=True, code_format=_PRE)
        self._handle.update({"text/plain": text, "text/html": html}, raw=True)
