"""Sizes: every figure has its width in every format, and nothing is cut off."""

import functools
import io
import re
import zlib

import numpy as np
import pytest
from chart_helpers import caption, texts_of
from figure_helpers import TASKS, loss, spec_of, store_of
from PIL import Image

from raysweep.errors import SpecError
from raysweep.figures.kinds import KINDS, save
from raysweep.figures.layout import describe
from raysweep.figures.rendering import rendered
from raysweep.figures.size import SIZES

OPTIONS = {
    "paths": {"x": "train_loss", "y": "distance"},
    "heatmap": {"over": "lr"},
    "lines": {"over": "lr"},
}
FIGURES = {kind: (kind, OPTIONS.get(kind, {})) for kind in KINDS}
if "heatmap" in KINDS:
    FIGURES["two settings"] = ("heatmap", {"over": ("lr", "temperature")})
WIDTHS = {"column": 3.25, "page": 6.75}
LR = {"lr": {"low": 1e-5, "high": 0.1, "log": True}, "optimizer": ["adam", "sgd"]}
HARD = ("a_long label & $x_{1}$ τ ≤ ½, with more words", "$\\frac$_{", "_y & z$")
DPI = 200


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


@pytest.fixture(scope="module")
def content(hard):
    """Function from a figure, a size and a suffix to the content of a file with hard labels."""

    @functools.cache
    def description(figure, size):
        kind, options = FIGURES[figure]
        return describe(hard.plot(kind, **options, size=size))

    @functools.cache
    def of(figure, size, suffix):
        return rendered(description(figure, size), suffix, title=figure, dpi=DPI)

    return of


def pixels(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), int)


def inches(content, suffix):
    """The width of a figure's file."""
    if suffix == ".png":
        return pixels(content).shape[1] / DPI
    pattern = {".pdf": rb"/MediaBox ?\[ ?0 0 ([\d.]+)", ".svg": rb'width="([\d.]+)pt"'}[suffix]
    return float(re.search(pattern, content)[1]) / 72


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_for_a_paper_has_its_width_whatever_its_labels(figure, size, suffix, content):
    width = inches(content(figure, size, suffix), suffix)
    assert width == pytest.approx(WIDTHS[size], abs=0.01)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_reaches_the_edge_of_a_figure(figure, size, content):
    image = pixels(content(figure, size, ".png"))
    edges = [image[:2], image[-2:], image[:, :2], image[:, -2:]]
    assert all((edge == 255).all() for edge in edges)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("figure", FIGURES)
def test_no_text_is_shortened(figure, size, content):
    shown = texts_of(content(figure, size, ".svg").decode())
    assert not [text for text in shown if "…" in text]


@pytest.mark.parametrize("figure", FIGURES)
def test_labels_are_shown_whole(figure, content):
    shown = texts_of(content(figure, "column", ".svg").decode())
    assert any(HARD[0] in text for text in shown)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
@pytest.mark.parametrize("size", WIDTHS)
def test_a_saved_figure_has_its_width(size, suffix, small, tmp_path):
    path = save(small, "curves", {"size": size}, tmp_path / f"figure{suffix}", dpi=DPI)
    assert inches(path.read_bytes(), suffix) == pytest.approx(WIDTHS[size], abs=0.01)


def test_a_png_has_the_resolution_that_is_asked_for(small, tmp_path):
    path = save(small, "curves", {"size": "column"}, tmp_path / "figure.png", dpi=100)
    with Image.open(path) as image:
        assert image.width == pytest.approx(325, abs=1)


@pytest.mark.parametrize("size", WIDTHS)
def test_letters_of_a_paper_are_of_seven_or_eight_points(size, small):
    svg = rendered(describe(small.plot(size=size)), ".svg", title="").decode()
    sizes = set(re.findall(r'<text[^>]* font-size="([\d.]+)px"', svg))
    assert sizes == {"7", "8"}


def pdf_text(content):
    """The text of a PDF, in the order of its drawing, by the table of its one font."""
    streams = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            streams.append(zlib.decompress(stream))
        except zlib.error:
            streams.append(stream)
    (table,) = (stream for stream in streams if b"begincmap" in stream)
    letters = {
        int(code, 16): bytes.fromhex(text.decode()).decode("utf-16-be")
        for code, text in re.findall(rb"<([0-9a-fA-F]{4})> ?<([0-9a-fA-F]+)>\n", table)
    }
    drawn = [text for stream in streams for text in re.findall(rb"\((.*?)\) Tj", stream, re.DOTALL)]
    codes = [re.sub(rb"\\([0-7]{3}|.)", unescaped, text, flags=re.DOTALL) for text in drawn]
    return "".join(letters.get(int.from_bytes(code[:2], "big"), "") for code in codes)


def unescaped(match):
    """The byte that an escape of a PDF's string is for."""
    escape = match[1]
    if len(escape) == 3:
        return bytes([int(escape, 8)])
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}.get(escape, escape)


def test_text_of_a_pdf_is_text(small):
    description = describe(small.plot(size="column"))
    content = rendered(description, ".pdf", title="")
    assert b"/ToUnicode" in content
    text = pdf_text(content)
    assert "train_loss" in text
    assert "hand:meanover3seeds" in text.replace(" ", "")


def test_a_figure_without_its_caption_has_its_width_too(hard):
    figure = hard.plot("seeds", size="column", caption=False)
    assert caption(figure) == ""
    svg = rendered(describe(figure), ".svg", title="")
    assert inches(svg, ".svg") == pytest.approx(WIDTHS["column"], abs=0.01)


def test_the_screen_is_the_size_unless_another_is_named(small):
    named, unnamed = (describe(small.plot(**each)) for each in ({"size": "screen"}, {}))
    assert named == unnamed


def test_a_size_of_another_name_is_told(small):
    with pytest.raises(SpecError, match="size: expected screen, column or page, got 'columns'"):
        small.plot(size="columns")


def test_small_panels_have_four_ticks_or_more(small):
    configs = [describe(small.plot(size=size))["config"] for size in ("column", "screen")]
    assert [config["axisY"]["tickCount"] for config in configs] == [4, 7]


def test_a_caption_is_wrapped_by_the_size_of_its_letters():
    size, text = SIZES["column"], "letters " * 60
    assert len(size.wrapped(text, 230, size.small)) < len(size.wrapped(text, 230))


def test_a_pdf_is_of_a_version_that_latex_takes_without_a_warning(small):
    assert rendered(describe(small.plot()), ".pdf", title="").startswith(b"%PDF-1.5")


def test_no_line_of_a_text_begins_with_a_percent_sign():
    lines = [SIZES["column"].wrapped("band: 95 % of all " * 9, width) for width in range(60, 200)]
    assert not any(line.startswith("%") for wrapped in lines for line in wrapped)
