"""Results that show themselves: printed as text, and as HTML in notebooks."""

import base64
import importlib.metadata
import inspect
import typing

import pytest
from figure_helpers import loss, spec_of, store_of

import raysweep
from raysweep.api import Results
from raysweep.figures import kinds
from raysweep.figures.options import Kind, PlotOptions
from raysweep.formats.statistics import FORMATS


@pytest.fixture
def results(tmp_path):
    return store_of(tmp_path, spec_of(description="A first try.", tags=["draft"]), loss)


SHOWN = {
    "table": lambda results: (results.table(), results.table().render("text")),
    "statistics": lambda results: (results.statistics(), FORMATS["text"](results.statistics(), ())),
    "top": lambda results: (results.top(), results.top().render("text")),
    "sweep": lambda results: (results, results.table().render("text")),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_printing_shows_what_the_command_prints(results, kind):
    shown, text = SHOWN[kind](results)
    assert str(shown) + "\n" == text


@pytest.mark.parametrize("kind", SHOWN)
def test_a_notebook_shows_a_table(results, kind):
    shown, _ = SHOWN[kind](results)
    html = shown._repr_html_()
    assert html.startswith('<div class="raysweep"><style scoped>')
    assert html.count("<table>") >= 1
    assert "<script" not in html
    assert "<caption>" not in html  # it would be as narrow as the table


def test_the_representation_of_a_sweep_opens_it(results):
    assert repr(results) == f"raysweep.open({results.store.store.uri!r}, 'hand')"


def test_what_shows_itself_is_still_data(results):
    assert results.table() == results.table()
    assert results.statistics().arms
    assert results.top(1).rows[0].is_selected


def test_the_sweeps_of_a_store_are_listed(results):
    sweeps = raysweep.ls(results.store.store.uri)
    assert [(sweep.name, sweep.runs, sweep.tags) for sweep in sweeps] == [("hand", 18, ("draft",))]
    line = " ".join(str(sweeps).splitlines()[1].split())
    assert line == "hand 18 no driver draft A first try."
    assert "<table>" in sweeps._repr_html_()


def test_notes_of_a_notebooks_table_are_escaped_below_it(results):
    html = results.table(where="seed < 2")._repr_html_()
    assert "; runs where seed &lt; 2</p>" in html
    assert html.index("</table>") < html.index('<p class="notes">Bold: best of its column')


@pytest.mark.parametrize("kind", ["search", "seeds"])
def test_a_notebook_shows_a_figure(results, kind):
    bundle = results.plot(kind)._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert any("vegalite" in type_of_text for type_of_text in bundle)


def test_sweeps_are_listed_by_tag(results):
    store = results.store.store.uri
    assert len(raysweep.ls(store, tags="draft")) == 1
    assert raysweep.ls(store, tags=["draft", "final"]) == ()


def test_the_version_is_that_of_the_installation():
    assert raysweep.__version__ == importlib.metadata.version("raysweep")


def test_every_kind_of_figure_has_a_type():
    assert set(typing.get_args(Kind)) == set(kinds.KINDS)


def test_every_option_of_a_figure_has_a_type():
    requests = [kind.request for kind in kinds.KINDS.values()]
    known = {name for request in requests for name in inspect.signature(request).parameters}
    assert set(PlotOptions.__annotations__) == known | kinds.LOOKS


def test_the_type_of_options_is_in_the_signature_of_plot():
    assert "PlotOptions" in inspect.signature(Results.plot).parameters["options"].annotation
