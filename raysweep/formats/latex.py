"""A result table in LaTeX, with booktabs."""

import re
import unicodedata
from collections.abc import Sequence

from raysweep.formats.entries import interval, mean_and_spread
from raysweep.formats.grid import Cell, Grid
from raysweep.formats.tables import grids
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
    # If all cells have the same number of seeds, the caption states it, and columns are narrower.
    shown = grids(table, counted=table.seeds is None)
    # With numbers of seeds, as powers of ten are wider in print than in plain text.
    return latex(shown, max(map(_width, grids(table))))


def latex(shown: Sequence[Grid], width: float | None = None) -> str:
    """Return tables with booktabs' rules, one after the other.

    Args:
        shown: The tables to typeset.
        width: Approximate width of the widest in inches; None to estimate it from the texts.
    """
    width = max(map(_width, shown)) if width is None else width
    height = 4 + 0.2 * sum(len(grid.rows) + 2 * len(grid.notes) for grid in shown)
    # `table*` spans both columns of a two-column paper; elsewhere the star changes nothing.
    name = "table*" if width > PAPER_COLUMN else "table"
    head = HEAD.replace("WIDTH", f"{max(LEAST_WIDTH, width + 1):.1f}")
    head = head.replace("HEIGHT", f"{height:.1f}")
    return head + "".join(_tabular(grid, name) for grid in shown) + FOOT


def _width(grid: Grid) -> float:
    """Return the approximate width of a table in inches."""
    columns = zip(*grid.texts, strict=True)
    width = sum(max(map(_text_width, column)) + 0.17 for column in columns)
    return max(width, *map(_text_width, " ".join([grid.caption, *grid.below]).split()))


def _text_width(text: str) -> float:
    return sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if character in "WMmw@%" or (ord(character) > 127 and not character.isalpha()):
        return WIDEST
    return WIDER if character.isupper() or character in "<>=+#&~_" else CHARACTER


def _tabular(grid: Grid, name: str) -> str:
    rows = [[escaped(label) for label in grid.head], *(list(map(_cell, row)) for row in grid.rows)]
    # After a rule or the end of a row, LaTeX would read these characters as an argument.
    rows = [["{}" * row[0].startswith(("[", "*")) + row[0], *row[1:]] for row in rows]
    lines = [" & ".join(row) + r" \\" for row in rows]
    alignment = "".join("lr"[index in grid.numbers] for index in range(len(grid.head)))
    first, *others = (sentence.removesuffix(".") for sentence in [grid.caption, *grid.below])
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


def _cell(cell: Cell) -> str:
    text = escaped(cell.text) if cell.entry is None else _entry(cell.entry)
    return rf"{{\boldmath\bfseries {text}}}" if cell.bold else text


def _entry(entry: Entry) -> str:
    if entry.mean is None:
        return escaped(entry.word)
    if entry.interval is not None:
        mean, low, high = interval(entry)
        text = rf"${_number(mean)}$ [${_number(low)}$, ${_number(high)}$]"
    else:
        mean, spread = mean_and_spread(entry.mean, entry)
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
