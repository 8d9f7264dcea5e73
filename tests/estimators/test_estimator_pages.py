"""The pages about estimators say what the classes say, and their example runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from raysweep import estimators
from raysweep.estimators import __main__ as pages

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_estimators_is_what_the_classes_say():
    shown = (DOCS / "estimators.md").read_text()
    assert shown == pages.page(), "run: python -m raysweep.estimators > docs/estimators.md"


def test_an_unknown_formula_of_calls_is_shown_by_its_values():
    class Square(estimators.find("reinforce")):
        def evaluations(self, latents, categories):
            return latents**2 + categories

    assert pages.calls(Square) == "6 at L = 2, C = 2; 19 at L = 4, C = 3"


def test_the_command_prints_the_page():
    command = [sys.executable, "-m", "estimators"]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=DOCS.parent)
    assert printed.stdout.decode() == pages.page()


@pytest.mark.parametrize("name", estimators.names())
def test_every_setting_has_a_meaning_and_every_estimator_a_section(name):
    section = pages.page().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    settings = [line for line in section.splitlines() if line.startswith("- `")]
    assert settings
    for line in settings:
        assert len(line.partition(": ")[2]) > 5, line
    assert "Reference: " in section


@pytest.mark.parametrize("name", sorted(set(estimators.names()) - {"arm", "disarm", "arms"}))
def test_the_training_loop_runs_with_every_estimator(name):
    text = (DOCS / "training-loop.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0].replace('"rebar"', repr(name))
    code = code.replace("range(100)", "range(2)")
    if name == "exact":
        code = (
            code.replace("8 * 4", "3 * 4")
            .replace("latents=8", "latents=3")
            .replace("(8, 4)", "(3, 4)")
        )
    found = {}
    exec(compile(code, "training-loop.md", "exec"), found)
    assert found["loss"].isfinite().all()


def test_the_training_loop_lowers_its_loss():
    text = (DOCS / "training-loop.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    found = {}
    exec(compile("import torch; torch.manual_seed(0)\n" + code, "training-loop.md", "exec"), found)
    assert found["out"].value.mean() < 0.75 * 20 / 3  # it starts near E[x^2] summed over 20
