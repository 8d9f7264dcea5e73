"""The pages about estimators say what the classes say, and their examples run."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import __main__ as pages
from raysweep.testing.estimators import check_estimator, check_layered_estimator

DOCS = Path(__file__).parents[2] / "docs"
FAMILIES = {
    "categorical": ("estimators.md", []),
    "layered": ("layered-estimators.md", ["layered"]),
}
NAMES = [(family, name) for family in FAMILIES for name in estimators.names(family)]
each_name = pytest.mark.parametrize(("family", "name"), NAMES, ids=[" ".join(n) for n in NAMES])
families = pytest.mark.parametrize("family", FAMILIES)


def example(page, number):
    """A block of Python on a page."""
    return (DOCS / page).read_text().split("```python\n")[number + 1].partition("```")[0]


def run(code, **names):
    """The names that the code defines, after it ran."""
    exec(compile(code, "example", "exec"), names)
    return names


def test_every_family_has_a_page():
    assert list(FAMILIES) == list(estimators.registry.FAMILIES)


@families
def test_the_page_of_estimators_is_what_the_classes_say(family):
    name, words = FAMILIES[family]
    command = " ".join(["python -m raysweep.estimators", *words, ">", f"docs/{name}"])
    assert (DOCS / name).read_text() == pages.page(family), f"run: {command}"


def test_an_unknown_formula_of_calls_is_shown_by_its_values():
    class Square(estimators.find("reinforce")):
        def evaluations(self, latents, categories):
            return latents**2 + categories

    assert pages.calls(Square) == "6 at L = 2, C = 2; 19 at L = 4, C = 3"


def test_an_unknown_formula_of_layers_is_shown_by_its_values():
    class Square(estimators.find("reinforce", "layered")):
        def evaluations(self, layers):
            return layers**2

    assert pages.calls(Square, "layered") == "1 at N = 1; 25 at N = 5"


def printed(*words):
    command = [sys.executable, "-m", "estimators", *words]
    return subprocess.run(command, capture_output=True, cwd=DOCS.parent, text=True, check=False)


@families
def test_the_command_prints_the_page(family):
    assert printed(*FAMILIES[family][1]).stdout == pages.page(family)


def test_the_command_refuses_an_unknown_family_in_one_line():
    done = printed("layerd")
    assert done.returncode == 1
    assert done.stderr.startswith("family must be one of categorical, layered; got 'layerd'; the")
    assert done.stderr.count("\n") == 1


@each_name
def test_every_setting_has_a_meaning_and_every_estimator_a_section(family, name):
    section = pages.page(family).partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    settings = [line for line in section.splitlines() if line.startswith("- `")]
    assert settings
    for line in settings:
        assert len(line.partition(": ")[2]) > 5, line
    assert "Reference: " in section
    assert "Calls: \n" not in section


@pytest.mark.parametrize("name", sorted(set(estimators.names()) - {"arm", "disarm", "arms"}))
def test_the_training_loop_runs_with_every_estimator(name):
    code = example("training-loop.md", 0).replace('"rebar"', repr(name))
    code = code.replace("range(100)", "range(2)")
    if name == "exact":
        code = (
            code.replace("8 * 4", "3 * 4")
            .replace("latents=8", "latents=3")
            .replace("(8, 4)", "(3, 4)")
        )
    assert run(code)["loss"].isfinite().all()


def test_the_training_loop_lowers_its_loss():
    out = run("import torch; torch.manual_seed(0)\n" + example("training-loop.md", 0))["out"]
    assert out.value.mean() < 0.75 * 20 / 3  # it starts near E[x^2] summed over 20


def test_the_loop_of_one_estimate_inside_another_lowers_its_loss():
    code = example("training-loop.md", 1).replace("lr=1e-3", "lr=1e-2")
    out = run("import torch; torch.manual_seed(0)\n" + code)["out"]
    assert out.value.mean() < 0.75 * 20 / 3


def test_the_loop_with_an_inner_estimator_that_learns_moves_its_parameters():
    code = example("training-loop.md", 2).replace("range(100)", "range(3)")
    found = run(code)
    moments = [found["optimizer"].state[p]["exp_avg"] for p in found["inner"].parameters()]
    assert all(moment.abs().max() > 0 for moment in moments)


def test_the_loop_with_a_simulator_lowers_its_loss():
    out = run("import torch; torch.manual_seed(0)\n" + example("training-loop.md", 3))["out"]
    assert out.value.mean() < 1.5  # it starts at 4, that of uniform choices


def test_the_script_with_a_function_lowers_its_loss():
    found = run("import torch; torch.manual_seed(0)\n" + example("drop-in.md", 0))
    assert found["loss"] < 0.75 * 20 / 3


@pytest.mark.parametrize("number", range(3))
def test_a_changed_script_draws_samples_that_carry_the_gradient(number):
    diff = (DOCS / "drop-in.md").read_text().split("```diff\n")[number + 1].partition("```")[0]
    lines = [line[1:] for line in diff.splitlines() if line.startswith(("+", " "))]
    h, codebook = torch.randn(5, 3, 4, requires_grad=True), torch.randn(6, 4, requires_grad=True)
    logits = torch.randn(5, 6, requires_grad=True)
    names = run("\n".join(lines), torch=torch, h=h, codebook=codebook, logits=logits)
    drawn = names.get("z", names.get("code"))
    drawn.square().sum(-1).cumsum(-1).sum().backward()
    for source in (h, codebook) if number == 2 else (logits,):
        assert source.grad.isfinite().all()


@pytest.mark.parametrize("name", estimators.names("layered"))
def test_the_loop_of_layers_runs_with_every_estimator(name):
    code = example("training-loop.md", 4).replace('"psa"', repr(name))
    code = code.replace("range(100)", "range(2)")
    if name == "exact":
        code = code.replace("50", "5")
    assert run(code)["loss"].isfinite().all()


def test_the_loop_of_layers_lowers_its_loss():
    out = run("import torch; torch.manual_seed(0)\n" + example("training-loop.md", 4))["out"]
    assert out.value.mean() < 0.75  # it starts above log 3, that of a guess


def test_the_estimators_of_the_page_on_extending_are_as_they_declare():
    check_estimator(run(example("extending.md", 0))["MyEstimator"](), categories=3)
    check_layered_estimator(run(example("extending.md", 1))["MyLayeredEstimator"]())
