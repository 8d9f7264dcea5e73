"""Parts of a report's sections: tables to choose from."""

import dataclasses
from collections.abc import Mapping

from raysweep.figures.plotly_backend.parts import Control
from raysweep.formats.grid import Grid


@dataclasses.dataclass(frozen=True)
class Views:
    """Tables of which one set is shown at a time.

    Args:
        controls: Controls that choose the set; those with one option are not shown.
        grids: Sets of tables by the keys of the controls' options, joined by a space; the first
            set is shown first.
    """

    controls: tuple[Control, ...]
    grids: Mapping[str, tuple[Grid, ...]]
