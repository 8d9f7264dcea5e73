"""`python -m raysweep.estimators [FAMILY]` prints a family's page of docs/, from the classes."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from raysweep import estimators
from raysweep.estimators import Method

_CATEGORICAL = """# Estimators

Every gradient estimator of the package for categorical variables, by registry name, as its class
declares it; the test suite measures each declaration. Those for networks of several layers of
binary units are [on a page of their own](layered-estimators.md). This page is the output of
`python -m raysweep.estimators`.

`estimators.get(name, **settings)` creates one; [training-loop.md](training-loop.md) shows its use.
In a sweep file, write settings beside the name; lists of values are searched. All take `samples`.
Settings in italics may differ between the replicas of a pack (tensors `[R]`).

The target is what an estimate is of, and what it is unbiased for: the mean of the objective f, or
the bound `-log 1/K sum_k exp(-f_k)` of K samples, for which f must be -log of a weight, such as
`log q(D) - log p(x, D)` with its gradient through log q. Tasks whose loss is no such objective
refuse estimators of the bound.

Calls are evaluations of the objective per example and estimate, all of them in one call of the
function, at the default settings for L variables with C categories. Three settings change what the
class declares, and the instance says so: `nvil(normalise=True)` and `ars_plus(bounds="paper")` are
biased, `muprop(linear=False)` needs no gradient. Learned parameters start alike for every seed.
"""
_LAYERED = """# Estimators of layered networks

Every gradient estimator of the package for networks of several layers of stochastic binary units,
by registry name, as its class declares it; the test suite measures each declaration. Those for
categorical variables are [on a page of their own](estimators.md). This page is the output of
`python -m raysweep.estimators layered`.

A unit is 1 with probability `sigmoid(a)` and -1 otherwise, a being its layer's map of the states
before it: `Dense`, `Convolution`, or any module as a `General` layer.
`estimators.layered.get(name, **settings)` creates an estimator;
[training-loop.md](training-loop.md#several-layers-of-binary-units) shows its use. In a sweep file,
tasks of this family take these names. All take `samples`. Settings in italics may differ between
the replicas of a pack (tensors `[R]`).

Calls are evaluations of the objective per example and estimate, at the default settings for N
layers. "flips" are further ones with each unit of the last layer flipped, which cost little with a
`LinearHead`, and "states" those at all states. Those that need a head take objectives of the last
layer's states alone (`Head`); those that need linear layers pass means and variances through them.
A method that relaxes follows the loss of another network with continuous units; `value` is always
that of hard samples. Two settings change what the class declares, and the instance says so:
`nvil(normalise=True)` is biased, `muprop(linear=False)` needs no gradient. Learned parameters start
alike for every seed.
"""


class _Family(NamedTuple):
    """Page of a family.

    Args:
        head: Text before the table.
        columns: Columns between the name and the settings, as functions of the class.
        sizes: Arguments of `evaluations` at which formulas of calls are compared.
        formulas: Values of known formulas at these sizes.
        symbols: Names of the arguments of `evaluations`.
    """

    head: str
    columns: Mapping[str, Callable[[type[Any]], str]]
    sizes: Sequence[tuple[int, ...]]
    formulas: Mapping[str, Sequence[int]]
    symbols: Sequence[str]


def page(family: str = "categorical") -> str:
    """Return a family's page: a table, and a section for every estimator.

    Raises:
        ValueError: If there is no such family.
    """
    methods = [estimators.find(name, family) for name in estimators.names(family)]
    described = _FAMILIES[family]
    sections = [_section(method) for method in methods]
    return "\n".join([described.head, *_table(described, methods), "", *sections]).rstrip() + "\n"


def _table(family: _Family, methods: Sequence[type[Method[Any]]]) -> list[str]:
    head = ["name", *family.columns, "settings", "reference"]
    rows = [head, ["---"] * len(head), *(_row(family, method) for method in methods)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _row(family: _Family, method: type[Method[Any]]) -> list[str]:
    settings = [
        f"*{setting.name}* = {_shown(setting.default)}"
        if setting.name in method.per_replica
        else f"{setting.name} = {_shown(setting.default)}"
        for setting in inspect.signature(method).parameters.values()
    ]
    return [
        f"[`{method.name}`](#{method.name})",
        *(column(method) for column in family.columns.values()),
        ", ".join(settings),
        method.reference,
    ]


def calls(method: type[Any], family: str = "categorical") -> str:
    """Return the formula of the number of calls; of an unknown formula, the values at two sizes."""
    _, _, sizes, formulas, symbols = _FAMILIES[family]
    default = method()
    counts = [default.evaluations(*size) for size in sizes]
    for formula, values in {**formulas, str(counts[0]): [counts[0]] * len(sizes)}.items():
        if values == counts:
            return formula
    texts = []
    for size, count in ((sizes[index], counts[index]) for index in (0, 3)):
        equations = [f"{one} = {value}" for one, value in zip(symbols, size, strict=True)]
        texts.append(f"{count} at {', '.join(equations)}")
    return "; ".join(texts)


def _all_calls(method: type[Any]) -> str:
    """Return the formula of the calls at paths, and a name for those at further states."""
    further = method.further_evaluations
    return calls(method, "layered") + (f" + {further}" if further else "")


def _section(method: type[Any]) -> str:
    parts = _parts(inspect.getdoc(method) or "")
    counted = (inspect.getdoc(method.evaluations) or "").partition("\n")[0].partition(": ")[2]
    lines = [f"## {method.name}", "", parts["text"], "", f"Calls: {counted}", ""]
    for name, meaning in parts["settings"]:
        default = inspect.signature(method).parameters[name].default
        lines.append(f"- `{name}` = {_shown(default)}: {meaning}")
    return "\n".join([*lines, "", f"Reference: {parts['references']}", ""])


def _parts(doc: str) -> dict[str, Any]:
    """Split a docstring into its text, settings with their meanings, and references."""
    text, _, rest = doc.partition("\n\nArgs:\n")
    arguments, _, rest = rest.partition("\n\nRaises:\n")
    _, _, references = rest.partition("\n\nReferences:\n")
    settings: list[tuple[str, str]] = []
    for line in inspect.cleandoc(arguments).splitlines():
        if line.startswith(" "):
            name, meaning = settings[-1]
            settings[-1] = (name, f"{meaning} {line.strip()}")
        else:
            name, _, meaning = line.partition(": ")
            settings.append((name, meaning))
    return {"text": text, "settings": settings, "references": " ".join(references.split())}


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


_SIZES = [(2, 2), (2, 3), (3, 2), (4, 3), (3, 4), (2, 5)]
_DEPTHS = [(1,), (2,), (3,), (5,)]
_FAMILIES = {
    "categorical": _Family(
        _CATEGORICAL,
        {
            "unbiased": lambda method: _yes(method.unbiased),
            "target": lambda method: method.target,
            "calls": calls,
            "needs gradient": lambda method: _yes(method.needs_gradient),
            "categories": lambda method: "2" if method.binary_only else "any",
        },
        _SIZES,
        {
            "C": [c for _, c in _SIZES],
            "C (C − 1)/2 + 1": [c * (c - 1) // 2 + 1 for _, c in _SIZES],
            "1 + L (C − 1)": [1 + latents * (c - 1) for latents, c in _SIZES],
            "C^L": [c**latents for latents, c in _SIZES],
        },
        ("L", "C"),
    ),
    "layered": _Family(
        _LAYERED,
        {
            "unbiased": lambda method: _yes(method.unbiased),
            "calls": _all_calls,
            "needs gradient": lambda method: _yes(method.needs_gradient),
            "needs head": lambda method: _yes(method.needs_head),
            "needs linear layers": lambda method: _yes(method.needs_moments),
            "relaxes": lambda method: _yes(method.relaxes),
        },
        _DEPTHS,
        {"1 + N": [1 + layers for (layers,) in _DEPTHS]},
        ("N",),
    ),
}


if __name__ == "__main__":
    try:
        sys.stdout.write(page(*sys.argv[1:2]))
    except ValueError as error:
        sys.exit(str(error))
