"""Sizes: every figure has its width in every format, and nothing is cut off or overlaps."""

import itertools
import re

import pytest
from figure_helpers import TASKS, loss, spec_of, store_of
from PIL import Image

from raysweep.errors import SpecError
from raysweep.figures import sizes
from raysweep.figures.kinds import KINDS, save

OPTIONS = {
    "paths": {"x": "train_loss", "y": "distance"},
    "heatmap": {"over": "lr"},
    "lines": {"over": "lr"},
}
FIGURES = {kind: (kind, OPTIONS.get(kind, {})) for kind in KINDS} | {
    "two settings": ("heatmap", {"over": ("lr", "temperature")})
}
WIDTHS = {"column": 3.25, "page": 6.75}
LR = {"lr": {"low": 1e-5, "high": 0.1, "log": True}, "optimizer": ["adam", "sgd"]}
HARD = ("a_long label & $x_{1}$ τ ≤ ½, with more words", "$\\frac$_{", "_y & z$")


def points(arm):
    """Three configurations of whatever is searched."""
    for place in range(3):
        cell = {"training.optimizer": "adam", "training.lr": 10.0 ** -(place + 2)}
        if "estimator.temperature" in arm.searched:
            cell["estimator.temperature"] = 1.0 + place / 10
        yield cell


def running(task, estimator, place, seed):
    """One cell has not begun, one is provisional, and one diverged."""
    if (task, estimator) == (HARD[1], HARD[0]):
        return None
    if (task, estimator) == (HARD[1], HARD[1]):
        return "diverged"
    if (task, estimator, seed) == (HARD[0], HARD[0], 2):
        return None
    return 1234.5 + place + seed


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """A running sweep with labels that are hard to draw."""
    temperature = {"low": 1.0, "high": 2.0}
    estimators = {
        HARD[0]: {"estimator": "straight_through", "temperature": temperature},
        HARD[1]: {"estimator": "reinmax", "temperature": temperature},
        HARD[2]: {"estimator": "reinforce"},
    }
    tasks = dict(zip(HARD, ({"task": "toy", "size": each} for each in (1, 2, 3)), strict=True))
    search = {"sampler": "random", "configurations": 3}
    spec = spec_of(dict(list(tasks.items())[:2]), estimators, training=LR, search=search)
    return store_of(tmp_path_factory.mktemp("hard"), spec, running, points=points)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One task, one estimator, two settings."""
    estimators = {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]}}
    spec = spec_of({"A": TASKS["A"]}, estimators, training={"lr": [0.3, 0.1]})
    return store_of(tmp_path_factory.mktemp("small"), spec, loss)


def inches(path):
    """The width of a figure's file."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return image.width / 200
    pattern = {".pdf": rb"/MediaBox \[ 0 0 ([\d.]+)", ".svg": rb'width="([\d.]+)pt"'}[path.suffix]
    return float(re.search(pattern, path.read_bytes())[1]) / 72


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_for_a_paper_has_exactly_its_width(figure, size, suffix, small, tmp_path):
    kind, options = FIGURES[figure]
    path = save(small, kind, {**options, "size": size}, tmp_path / f"figure.{suffix}")
    assert inches(path) == pytest.approx(WIDTHS[size], abs=1e-4)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
@pytest.mark.parametrize("figure", ["two settings"])
def test_a_heatmap_over_two_settings_for_the_screen_is_saved(figure, suffix, small, tmp_path):
    kind, options = FIGURES[figure]
    assert inches(save(small, kind, options, tmp_path / f"figure.{suffix}")) > 3


@pytest.mark.parametrize("size", sizes.SIZES)
@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_is_cut_off_and_no_panels_overlap(figure, size, hard):
    kind, options = FIGURES[figure]
    drawn = hard.plot(kind, **options, size=size)
    whole, width, height = drawn.get_tightbbox(), *drawn.get_size_inches()
    assert min(whole.x0, whole.y0) > -0.02
    assert whole.x1 < width + 0.02
    assert whole.y1 < height + 0.02
    boxes = [axes.get_tightbbox().padded(-1) for axes in drawn.axes if axes.get_visible()]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("size", WIDTHS)
def test_letters_of_a_paper_are_of_seven_or_eight_points(size, small):
    drawn = small.plot(size=size)
    (axes,) = drawn.axes
    texts = [axes.title, axes.xaxis.label, *axes.get_xticklabels(), *drawn.legends[0].get_texts()]
    assert {text.get_fontsize() for text in texts} == {7.0, 8.0}


def test_the_screen_is_the_size_unless_another_is_named(small):
    named, unnamed = small.plot(size="screen"), small.plot()
    assert named.get_size_inches().tolist() == unnamed.get_size_inches().tolist()
    assert unnamed.get_figwidth() == 5.4


def test_a_size_of_another_name_is_told(small):
    with pytest.raises(SpecError, match="size: expected screen, column or page, got 'columns'"):
        small.plot(size="columns")


def test_numbers_that_do_not_fit_their_cells_are_left_out(hard):
    options = {"over": ("lr", "temperature"), "size": "column"}
    texts = [
        text.get_text() for axes in hard.plot("heatmap", **options).axes for text in axes.texts
    ]
    assert set(texts) == {"", "?"}
