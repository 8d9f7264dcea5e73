"""The description of a panel alone, as the report has it."""

import pytest
import vl_convert
from figure_helpers import POINTS, searching, store_of

from raysweep.figures.drawing import CHOSEN, unvalidated
from raysweep.figures.kinds import KINDS
from raysweep.figures.layout import VERSION

OPTIONS = {
    "lines": {"over": "lr"},
    "heatmap": {"over": ("lr", "optimizer")},
    "paths": {"x": "train_loss", "y": "distance"},
}


def picture(description, panel):
    datasets = {name: rows for name, rows in panel.data.items()}
    return vl_convert.vegalite_to_png({**description, "datasets": datasets}, vl_version=VERSION)


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_of_a_panel_draws_what_its_chart_does(kind, tmp_path):
    results = store_of(tmp_path, searching(), points=lambda arm: POINTS)
    request = KINDS[kind].request(**OPTIONS.get(kind, {}))
    panel = KINDS[kind].draw(KINDS[kind].prepare(results, request)).panels[0]
    with unvalidated():
        layers = panel.draw(True, True)
        whole = layers.chart().add_params(CHOSEN).to_dict(validate=False)
    whole.pop("config")
    assert picture(layers.describe(CHOSEN), panel) == picture(whole, panel)
