"""The formats of a table: literal output, and labels of every kind in each of them."""

import csv
import html
import io
import json
import re
import shutil
import statistics
import subprocess
import unicodedata
from xml.etree import ElementTree

import pytest
from figure_helpers import spec_of, store_of
from table_helpers import cell, markdown_cells, table_of

from raysweep.errors import SpecError
from raysweep.formats.entries import number
from raysweep.formats.latex import SPECIAL, escaped
from raysweep.formats.table_formats import NAMES
from raysweep.results.pareto import FrontPoint
from raysweep.results.table import Style
from raysweep.sweep.options import Select

# Numbers by hand. A: differences 1, 2, 0, so t = √3 and p = 1 - √(3/5), as Student's distribution
# of two degrees of freedom has p = 1 - t / √(t² + 2). B: differences 3, 3.5, 4, t² = 147.
VALUES = {
    ("ST", "A", 0): [1.0, 2.0, 3.0],
    ("ST", "A", 1): [2.0, 2.0, 3.0],
    ("RF", "A", 0): [2.0, 4.0, 3.0],
    ("ST", "B", 0): [5.0, 4.0, "diverged"],
    ("ST", "B", 1): [4.0, 4.5, 5.0],
    ("RF", "B", 0): [1.0, 1.0, 1.0],
}
TITLE = (
    "hand: train_loss, mean ± std (n) over seeds at the configuration with the minimum mean "
    "train_loss; lower is better"
)
MARK = (
    "best of its column, or not significantly worse: two-sided paired t-test over shared seeds, "
    "Holm's correction over the rows, p ≥ 0.05; this does not show that marked rows are alike"
)
LOST = "ST on B: 1 of 2 configurations has a diverged seed and cannot be selected"
RANK = "rank: mean over tasks, 1 the best, among estimators with a final mean on every task"
TEXT = f"""{TITLE}

estimator              A                  B        average    rank
------------------------------------------------------------------
ST         2.0 ± 1.0 (3) *  4.50 ± 0.50 (3)    3.25 ± 0.75 *   1.5 *
RF         3.0 ± 1.0 (3) *        1 ± 0 (3) *  2.00 ± 0.50 *   1.5 *
* {MARK}
{LOST}
{RANK}
"""
MARKDOWN = f"""{TITLE}

| estimator | A | B | average | rank |
| --- | ---: | ---: | ---: | ---: |
| ST | **2.0 ± 1.0 (3)** | 4.50 ± 0.50 (3) | **3.25 ± 0.75** | **1.5** |
| RF | **3.0 ± 1.0 (3)** | **1 ± 0 (3)** | **2.00 ± 0.50** | **1.5** |

Bold: {MARK}.

{LOST}

{RANK}
"""
LATEX = r"""\begin{table*}[htbp]
  \centering
  \caption{hand: train\_loss, mean \ensuremath{\pm} std over 3 seeds at the configuration with the
minimum mean train\_loss; lower is better. Bold: best of its column, or not significantly worse:
two-sided paired t-test over shared seeds, Holm's correction over the rows,
p \ensuremath{\geq} 0.05; this does not show that marked rows are alike. ST on B: 1 of 2
configurations has a diverged seed and cannot be selected. Rank: mean over tasks, 1 the best, among
estimators with a final mean on every task.}
  \begin{tabular}{lrrrr}
    \toprule
    estimator & A & B & average & rank \\
    \midrule
    ST & {\boldmath\bfseries $2.0 \pm 1.0$} & $4.50 \pm 0.50$ & {\boldmath\bfseries $3.25 \pm 0.75$}
 & {\boldmath\bfseries $1.5$} \\
    RF & {\boldmath\bfseries $3.0 \pm 1.0$} & {\boldmath\bfseries $1 \pm 0$}
 & {\boldmath\bfseries $2.00 \pm 0.50$} & {\boldmath\bfseries $1.5$} \\
    \bottomrule
  \end{tabular}
\end{table*}
"""
CSV = """estimator,task,status,metric,mean,std,n,best,bold,configurations,diverged,settings,values
ST,A,selected,train_loss,2.0,1.0,3,True,True,2,0,{"estimator.temperature": 1.0},1.0 2.0 3.0
RF,A,selected,train_loss,3.0,1.0,3,False,True,1,0,{},2.0 4.0 3.0
ST,B,selected,train_loss,4.5,0.5,3,False,False,2,1,{"estimator.temperature": 2.0},4.0 4.5 5.0
RF,B,selected,train_loss,1.0,0.0,3,True,True,1,0,{},1.0 1.0 1.0
"""


@pytest.fixture
def by_hand(tmp_path):
    """The table of the numbers above."""
    results = store_of(
        tmp_path, spec_of(), ended=lambda t, e, place, seed: VALUES[e, t, place][seed]
    )
    return results.table()


def test_text_is_as_by_hand(by_hand):
    assert by_hand.render("text") == TEXT


def test_markdown_is_as_by_hand(by_hand):
    assert by_hand.render("markdown") == MARKDOWN


def test_latex_is_as_by_hand(by_hand):
    found = (
        by_hand.render("latex").partition(r"\makeatother" + "\n")[2].rpartition(r"\ifdefined")[0]
    )
    assert found.split() == LATEX.split()


def test_csv_is_as_by_hand(by_hand):
    found = [*csv.DictReader(io.StringIO(by_hand.render("csv")))]
    lines = CSV.splitlines()
    for line, row in zip(lines[1:], found, strict=True):
        values = " ".join(map(str, json.loads(row["values"]).values()))
        assert line == ",".join([*(row[name] for name in lines[0].split(",")[:-1]), values])


def test_p_values_are_as_by_hand(by_hand):
    found = {
        (each["estimator"], each["task"]): each["p_value"]
        for each in json.loads(by_hand.render("json"))["cells"]
    }
    expected = {("RF", "A"): 1 - (3 / 5) ** 0.5, ("ST", "B"): 1 - (147 / 149) ** 0.5}
    assert {key: p for key, p in found.items() if p is not None} == pytest.approx(
        expected, abs=1e-12
    )


# Labels of every kind.

LABELS = [
    *SPECIAL,
    "a_b & 50% $x$ #1 {y} ~z^2 \\alpha",
    "<b>&\"'",
    "[A]",
    "*b",
    "a|b",
    "a\\|b",
    "--",
    "αβγδεζηθικλμνξοπρςστυφχψω",
    "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
    "éüñłßøŽőÅ",
    unicodedata.normalize("NFD", "éüñŽ"),
    "µ ° ² ½ €",
]


def labelled(labels, **more):
    """A table whose rows and columns have these labels."""
    return table_of(
        *(
            cell(row, column, [1.0 + place, 2.0, 3.0 + place])
            for place, row in enumerate(labels)
            for column in labels[:2]
        ),
        **more,
    )


def test_text_is_aligned():
    labels = ["short", "of several words", "<&>"]
    table = labelled(labels, style=Style(spread="ci"))
    _, _, head, rule, *rows = table.render("text").splitlines()[: 4 + len(labels)]
    assert rule == "-" * len(head)
    for label in [column.label for column in table.columns]:
        end = head.index(label, len("estimator")) + len(label)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows)
        assert all(row[end + 1 : end + 2] in ("", "*", " ") for row in rows)


def test_rows_of_text_begin_with_their_labels():
    lines = labelled(LABELS).render("text").splitlines()[4 : 4 + len(LABELS)]
    assert all(line.startswith(label + " ") for line, label in zip(lines, LABELS, strict=True))


def test_rows_of_markdown_have_a_cell_for_each_column():
    labels = [each for each in LABELS if each != "|"]
    table = labelled(["|", *labels])
    head, _, *rows = [
        each for each in table.render("markdown").splitlines() if each.startswith("| ")
    ]
    assert markdown_cells(head) == ["estimator", *(column.label for column in table.columns)]
    assert [markdown_cells(row)[0] for row in rows] == ["|", *labels]
    assert {len(markdown_cells(row)) for row in rows} == {1 + len(table.columns)}


def test_html_is_well_formed_and_has_the_labels():
    table = labelled(LABELS, report="<m>&", where="a < 'b' & \"c\" > 1", **fronts())
    found = ElementTree.fromstring(f"<div>{table.render('html')}</div>")
    first, second = found.findall("table")
    assert [each.text for each in first.findall("tbody/tr/th")] == LABELS
    assert first.find("caption/span").text.endswith("runs where a < 'b' & \"c\" > 1")
    assert second.find("tbody/tr/th").text == "<&>_%"
    assert {each.tag for each in found.iter()} <= set(
        ["div", "table", "caption", "span", "thead", "tbody", "tr", "th", "td", "strong", "p"]
    )


def fronts(count=1, settings=None):
    """A front of some points, with labels and settings of every kind."""
    own = {"estimator.name": "a_b & <c>", "training.lr": 0.001} if settings is None else settings
    points = [
        FrontPoint("A", "<&>_%", f"id{n}", own, (1.0 + n, 2.0), (0.1, None), 3)
        for n in range(count)
    ]
    metrics = (Select("train_loss", "min"), Select("height_%", "max"))
    return {"front": tuple(points), "front_metrics": metrics}


@pytest.mark.parametrize("format", NAMES)
def test_a_table_of_nothing_has_every_format(format):
    assert table_of().render(format)


# LaTeX, as LaTeX reads it.


def compiled(folder, text, name="paper"):
    """LaTeX's log of a document; its errors fail the test."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    (folder / f"{name}.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / f"{name}.log").read_text(errors="replace")
    assert done.returncode == 0, [line for line in log.splitlines() if line.startswith("!")]
    return log


FRONT = {"estimator.a_long_name": 0.12345, "training.another_of_them": "a value of text"}
WIDE = {f"training.setting_{n}": 0.12345 for n in range(12)}
TABLES = {
    "labels": labelled(LABELS),
    **{f"first {each}": labelled([each, "b"]) for each in ("[A]", "*b", "(c)", "\\hline")},
    "metric": labelled(["a", "b"], report="λ_β^{%}", select="#$&", unit="~/|"),
    "condition": labelled(["a"], where="x = 'a_b' and\n\n y < \"c\" % 2 \\ {"),
    "twenty tasks": table_of(
        *(
            cell(f"e{n}", f"task number {t}", [1.0, 2.0, 3.0 + n])
            for n in range(4)
            for t in range(20)
        )
    ),
    "capitals": labelled(["W" * 40, "M" * 30]),
    "interval": labelled(["a", "b"], style=Style(spread="ci")),
    "five seeds": table_of(
        *(cell(e, t, [1e-7, 2e-7, 3e-7, 4e-7, 6e-7]) for e in "ab" for t in "AB"),
        style=Style(spread="ci"),
    ),
    "front": table_of(cell("a", "A", [1.0, 2.0]), **fronts(3, FRONT)),
    "wide front": table_of(cell("a", "A", [1.0, 2.0]), **fronts(50, WIDE)),
    "empty front": table_of(cell("a", "A", [1.0], "provisional"), **fronts(0)),
    "long word": labelled(["a", "b"], where="a_" * 60 + " < 1"),
    "many rows": labelled([f"row {n}" for n in range(70)]),
    "statuses": table_of(
        cell("a", "A", [1.0, 2.0]),
        cell("b", "A", [1.5], "provisional"),
        *(cell(word, "A", [], word) for word in ("diverged", "missing", "unreported")),
    ),
    "huge": table_of(cell("a", "A", [1e308, -1e308, 1e20]), cell("b", "A", [1e-300, 2e-300, 0.0])),
}


@pytest.mark.parametrize("name", TABLES)
def test_latex_compiles_alone_within_its_page(name, tmp_path):
    log = compiled(tmp_path, TABLES[name].render("latex"))
    assert "Output written on paper.pdf" in log
    assert "Overfull" not in log
    assert "Float too large" not in log
    assert "LaTeX Warning" not in log


PAPER = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\begin{document}
Before. \input{%s} Between. \input{%s} After.
\typeout{THE PAPER ENDS}
\end{document}
"""


@pytest.mark.parametrize("names", [("labels", "front"), ("first [A]", "five seeds")], ids=str)
def test_latex_goes_into_a_paper(names, tmp_path):
    for place, name in enumerate(names):
        (tmp_path / f"t{place}.tex").write_text(TABLES[name].render("latex"))
    assert "THE PAPER ENDS" in compiled(tmp_path, PAPER % ("t0", "t1"))


def test_latex_reads_every_special_character(tmp_path):
    text = "".join(f"{escaped(each)}, " for each in LABELS)
    compiled(tmp_path, rf"\documentclass{{article}}\begin{{document}}{text}\end{{document}}")


@pytest.mark.parametrize("character", "_&%$#{}~^\\")
def test_no_special_character_is_left_as_it_is(character):
    assert escaped(character) not in ("", character)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("λ", r"\ensuremath{\lambda}"),
        ("Λ", r"\ensuremath{\Lambda}"),
        ("ς", r"\ensuremath{\varsigma}"),
        ("ω", r"\ensuremath{\omega}"),
        ("Β", "B"),  # noqa: RUF001 - Greek
        ("ο", "o"),  # noqa: RUF001 - Greek
        ("e\u0301", "é"),
    ],
)
def test_greek_becomes_mathematics(text, shown):
    assert escaped(text) == shown


# Data.


def test_csv_and_json_are_unrounded():
    values = [1 / 3, 2 / 7, 1e-17]
    table = table_of(cell('a,"b"\\', "A;\t|", values), cell("c", "A;\t|", [1.0, 2.0, 4.0]))
    first = next(csv.DictReader(io.StringIO(table.render("csv"))))
    (again, _) = json.loads(table.render("json"))["cells"]
    assert (first["estimator"], first["task"]) == ('a,"b"\\', "A;\t|")
    assert float(first["mean"]) == again["mean"] == statistics.fmean(values)
    assert float(first["std"]) == again["std"] == statistics.stdev(values)
    assert list(json.loads(first["values"]).values()) == values
    assert again["values"] == json.loads(first["values"])


def test_csv_and_json_have_the_same_p_values():
    table = labelled(["a", "b", "c"])
    rows = csv.DictReader(io.StringIO(table.render("csv")))
    found = [float(row["p_value"]) if row["p_value"] else None for row in rows]
    cells = json.loads(table.render("json"))["cells"]
    assert found == [each["p_value"] for each in cells]
    judged = table.judgement(table.columns[0]).p_values
    assert {e["estimator"]: e["p_value"] for e in cells if e["task"] == "a"} == {
        "a": None,
        **judged,
    }


@pytest.mark.parametrize("format", NAMES)
def test_labels_are_in_every_format(format):
    text = labelled(["plain", "other"]).render(format)
    assert html.unescape(text).count("plain") >= 2


def test_an_unknown_format_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"format: expected text, .* or json, got 'tex'"):
        store_of(tmp_path, spec_of(), lambda *_: 1.0).table().render("tex")


def test_a_spread_that_rounds_up_has_two_digits_too():
    assert number(0.5, 0.0996) == ("0.50", "0.10")


def test_numbers_without_a_spread_have_equally_many_digits():
    means = (44.5, 44.499, 1.0, 0.0, 12345.0, 1234567.0, 0.00012)
    texts = [number(mean, None)[0] for mean in means]
    assert texts == ["44.500", "44.499", "1.0000", "0.0000", "12345", "1.2346e+06", "0.00012000"]


def test_a_table_of_one_seed_has_equally_many_decimals_in_a_column():
    table = table_of(cell("a", "A", [44.5]), cell("b", "A", [44.499]))
    assert re.findall(r"44\.\d+", table.render("text")) == ["44.500", "44.499"]
