"""A result table in LaTeX, with booktabs."""

import dataclasses
import re
import unicodedata
from collections.abc import Sequence

from raysweep.formats.captions import mark, notes, title
from raysweep.formats.parts import front_rows, front_title, interval, number, texts
from raysweep.results.table import Entry, ResultTable

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "∞": r"\ensuremath{\infty}",
    "≈": r"\ensuremath{\approx}",
    "≠": r"\ensuremath{\neq}",
    "√": r"\ensuremath{\surd}",
    "∇": r"\ensuremath{\nabla}",
    "∂": r"\ensuremath{\partial}",
    "∑": r"\ensuremath{\sum}",
    "ϵ": r"\ensuremath{\epsilon}",
    "ϕ": r"\ensuremath{\phi}",
    "ς": r"\ensuremath{\varsigma}",
    "−": r"\ensuremath{-}",
    "→": r"\ensuremath{\to}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
}
# A complete document, unless a paper inputs it, which has used \documentclass already.
HEAD = r"""% Compiles as it is; a paper that loads booktabs can \input it.
\makeatletter
\ifx\documentclass\@twoclasseserror\else
  \documentclass{article}
  \usepackage[paperwidth=WIDTHin,paperheight=HEIGHTin,margin=0.5in]{geometry}
  \usepackage{booktabs}
  \begin{document}
  \def\raysweepend{\end{document}}
\fi
\makeatother
"""
FOOT = r"\ifdefined\raysweepend\expandafter\raysweepend\fi" + "\n"
# Widths in inches; those of characters are rather too wide.
CHARACTER = 0.083
WIDER = 0.11  # capitals
WIDEST = 0.145
LEAST_WIDTH = 6.0
PAPER_COLUMN = 3.3  # a column of a paper that has two
GREEK = re.compile("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)")
LATIN = {
    "ALPHA": "A",
    "BETA": "B",
    "EPSILON": "E",
    "ZETA": "Z",
    "ETA": "H",
    "IOTA": "I",
    "KAPPA": "K",
    "MU": "M",
    "NU": "N",
    "OMICRON": "O",
    "RHO": "P",
    "TAU": "T",
    "CHI": "X",
}
"""Latin letters for Greek capitals that have no command in LaTeX because they look the same."""


def as_latex(table: ResultTable) -> str:
    """Return a `table` with booktabs' rules; best and not significantly worse are bold."""
    rows = [["estimator", *(escaped(column.label) for column in table.columns)]]
    for estimator in table.estimators:
        row = [escaped(estimator)]
        for column in table.columns:
            entry = table.entry(estimator, column)
            text = _entry(entry if table.seeds is None else dataclasses.replace(entry, n=None))
            bold = estimator in table.judgement(column).bold
            row.append(rf"{{\boldmath\bfseries {text}}}" if bold else text)
        rows.append(row)
    # `table*` spans both columns of a two-column paper; elsewhere the star changes nothing.
    name = "table*" if _width(table) > PAPER_COLUMN else "table"
    parts = [_tabular(rows, "l" + "r" * len(table.columns), _caption(table), name)]
    if table.front_metrics:
        front = [[escaped(text) for text in row] for row in front_rows(table)]
        parts.append(_tabular(front, "l" * len(front[0]), [front_title(table)], name))
    head = HEAD.replace("WIDTH", f"{max(LEAST_WIDTH, _width(table) + 1):.1f}")
    return head.replace("HEIGHT", f"{_height(table):.1f}") + "".join(parts) + FOOT


def _caption(table: ResultTable) -> list[str]:
    # If all cells have the same number of seeds, the caption states it, and columns are narrower.
    marked = mark(table)
    named = title(table, counted=table.seeds is None)
    return [named, *([f"Bold: {marked}"] if marked else []), *notes(table)]


def _width(table: ResultTable) -> float:
    """Return the approximate width of the rows in inches."""
    cells = texts(table)
    columns = [["estimator", *table.estimators]]
    for column in table.columns:
        columns.append(
            [column.label, *(cells[estimator, column] for estimator in table.estimators)]
        )
    widths = [_columns_width(columns), max(map(_text_width, " ".join(_caption(table)).split()))]
    if table.front_metrics:
        widths.append(_columns_width(list(zip(*front_rows(table), strict=True))))
    return max(widths)


def _columns_width(columns: Sequence[Sequence[str]]) -> float:
    return sum(max(map(_text_width, column)) + 0.17 for column in columns)


def _text_width(text: str) -> float:
    return sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if character in "WMmw@%" or (ord(character) > 127 and not character.isalpha()):
        return WIDEST
    return WIDER if character.isupper() or character in "<>=+#&~_" else CHARACTER


def _height(table: ResultTable) -> float:
    return 4 + 0.2 * (len(table.estimators) + 2 * len(notes(table)) + len(table.front))


def _tabular(
    rows: Sequence[Sequence[str]], alignment: str, caption: Sequence[str], name: str
) -> str:
    # After a rule or the end of a row, LaTeX would read these characters as an argument.
    rows = [["{}" * row[0].startswith(("[", "*")) + row[0], *row[1:]] for row in rows]
    lines = [" & ".join(row) + r" \\" for row in rows]
    first, *others = (sentence.removesuffix(".") for sentence in caption)
    text = ". ".join([first, *(sentence[:1].upper() + sentence[1:] for sentence in others)])
    return "\n".join(
        [
            rf"\begin{{{name}}}[htbp]",
            r"  \centering",
            rf"  \caption{{{escaped(text)}.}}",
            rf"  \begin{{tabular}}{{{alignment}}}",
            r"    \toprule",
            f"    {lines[0]}",
            r"    \midrule",
            *(f"    {line}" for line in lines[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"\end{{{name}}}",
            "",
        ]
    )


def _entry(entry: Entry) -> str:
    if entry.mean is None:
        return escaped(entry.word)
    if entry.interval is not None:
        mean, low, high = interval(entry)
        text = rf"${_number(mean)}$ [${_number(low)}$, ${_number(high)}$]"
    else:
        mean, spread = number(entry.mean, entry.spread)
        text = rf"${_number(mean)} \pm {_number(spread)}$" if spread else f"${_number(mean)}$"
    if entry.n is not None:
        text += f" ({entry.n})"
    return text + (" ?" if entry.provisional else "")


def _number(text: str) -> str:
    """Return a number in math mode; `1.2e-05` becomes a power of ten."""
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


def escaped(text: str) -> str:
    """Return plain text escaped for LaTeX; Greek letters become math."""
    return "".join(_character(character) for character in unicodedata.normalize("NFC", text))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    match = GREEK.fullmatch(unicodedata.name(character, ""))
    if not match:
        return character
    size, letter = match.groups()
    if letter == "OMICRON" or (size == "CAPITAL" and letter in LATIN):
        return LATIN[letter] if size == "CAPITAL" else "o"
    letter = letter.replace("LAMDA", "LAMBDA")
    return rf"\ensuremath{{\{letter.capitalize() if size == 'CAPITAL' else letter.lower()}}}"
