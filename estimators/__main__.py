"""`python -m raysweep.estimators` prints docs/estimators.md, from the classes."""

import inspect
import sys
from typing import Any

from raysweep import estimators
from raysweep.estimators import Estimator

_HEAD = """# Estimators

Every gradient estimator of the package, by registry name, as its class declares it; the test suite
measures each declaration. This page is the output of `python -m raysweep.estimators`.

`estimators.get(name, **settings)` creates one; [training-loop.md](training-loop.md) shows its use.
In a sweep file, write settings beside the name; lists of values are searched. All take `samples`.
Settings in italics may differ between the replicas of a pack (tensors `[R]`).

Calls are evaluations of the objective per example and estimate, all of them in one call of the
function, at the default settings for L variables with C categories. Three settings change what the
class declares, and the instance says so: `nvil(normalise=True)` and `ars_plus(bounds="paper")` are
biased, `muprop(linear=False)` needs no gradient. Learned parameters start alike for every seed.
"""


def page() -> str:
    """Return the page: a table, and a section for every estimator."""
    methods = [estimators.find(name) for name in estimators.names()]
    sections = [_section(method) for method in methods]
    return "\n".join([_HEAD, *_table(methods), "", *sections]).rstrip() + "\n"


def _table(methods: list[type[Estimator]]) -> list[str]:
    head = ["name", "unbiased", "calls", "needs gradient", "categories", "settings", "reference"]
    rows = [head, ["---"] * len(head), *(_row(method) for method in methods)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _row(method: type[Estimator]) -> list[str]:
    settings = [
        f"*{setting.name}* = {_shown(setting.default)}"
        if setting.name in method.per_replica
        else f"{setting.name} = {_shown(setting.default)}"
        for setting in inspect.signature(method).parameters.values()
    ]
    return [
        f"[`{method.name}`](#{method.name})",
        "yes" if method.unbiased else "no",
        calls(method),
        "yes" if method.needs_gradient else "no",
        "2" if method.binary_only else "any",
        ", ".join(settings),
        method.reference,
    ]


def calls(method: type[Estimator]) -> str:
    """Return the formula of the number of calls; of an unknown formula, the values at two sizes."""
    default = method()
    sizes = [(2, 2), (2, 3), (3, 2), (4, 3), (3, 4), (2, 5)]
    counts = [default.evaluations(*size) for size in sizes]
    formulas = {
        "C": [c for _, c in sizes],
        "C (C − 1)/2 + 1": [c * (c - 1) // 2 + 1 for _, c in sizes],
        "1 + L (C − 1)": [1 + latents * (c - 1) for latents, c in sizes],
        "C^L": [c**latents for latents, c in sizes],
        str(counts[0]): [counts[0]] * len(sizes),
    }
    for formula, values in formulas.items():
        if values == counts:
            return formula
    texts = [f"{counts[index]} at L = {sizes[index][0]}, C = {sizes[index][1]}" for index in (0, 3)]
    return "; ".join(texts)


def _section(method: type[Estimator]) -> str:
    parts = _parts(inspect.getdoc(method) or "")
    counted = (inspect.getdoc(method.evaluations) or "").partition(": ")[2]
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


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    sys.stdout.write(page())
