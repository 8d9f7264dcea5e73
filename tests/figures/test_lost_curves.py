"""Figures and reports say of how many runs the curves are lost."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from chart_helpers import caption
from figure_helpers import spec_of, store_of

from raysweep.report.page import page


@pytest.fixture
def lossy(tmp_path):
    """Results of 12 selected runs, the curves of two of which are lost."""
    results = store_of(tmp_path, spec_of())
    cells = [results.table().cell(*each) for each in (("ST", "A"), ("RF", "B"))]
    lost = [cell.run_ids[0] for cell in cells]
    for name in results.store.files.names("curves", ".parquet"):
        table = results.store.files.read_table(name)
        kept = table.filter(pc.invert(pc.is_in(table["run_id"], pa.array(lost))))
        results.store.files.write_table(name, kept)
    return results


def test_a_plot_says_how_many_runs_have_no_curves(lossy):
    assert caption(lossy.plot()).endswith("; 2 of 12 runs have no curves")


def test_paths_say_how_many_runs_have_no_curves(lossy):
    figure = lossy.plot(kind="paths", x="train_loss", y="distance")
    assert caption(figure).endswith("; 2 of 12 runs have no curves")


@pytest.mark.parametrize("place", [0, 3], ids=["over steps", "over time"])
def test_a_report_says_how_many_runs_have_no_curves(lossy, place):
    assert "2 of 12 runs have no curves" in page(lossy).figures[place].texts["0"][0]
