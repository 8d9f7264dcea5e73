"""Progress in a notebook: one output, which is replaced, and no warning about widgets."""

import subprocess
import sys
import types

import pytest
from rich.console import Console

from raysweep.driver import session
from raysweep.progress import Progress

SWEEP = {
    "name": "shown",
    "tasks": {"walk": {"task": "toy", "steps": 4}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 2,
}


@pytest.fixture
def outputs(monkeypatch):
    """Contents of each output of a notebook's cell, by a stand-in for IPython."""
    found = []

    def display(content, *, raw, display_id):
        found.append([content])
        return types.SimpleNamespace(update=lambda content, raw: found[-1].append(content))

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return found


def test_progress_in_a_notebook_is_one_output_that_ends_as_a_line(outputs, tmp_path):
    progress = Progress(Console(force_jupyter=True, force_terminal=False))
    spec = session.load(SWEEP)
    session.drive(spec, store=tmp_path, data=None, address=None, inline=True, progress=progress)
    (contents,) = outputs
    assert "best train_loss" in contents[1]["text/plain"]
    assert contents[1]["text/html"].startswith("<pre ")
    assert contents[-1]["text/plain"].startswith("2 of 2 runs in ")
    assert contents[-1]["text/plain"].count("\n") == 1


def test_no_warning_of_missing_widgets_is_shown():
    """Optuna imports tqdm, which warns in the kernel of a notebook without ipywidgets."""
    code = (
        "import sys, types\n"
        "for name in ('IPython', 'IPython.display', 'ipykernel.zmqshell'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['IPython'].get_ipython = lambda: None\n"
        "sys.modules['IPython.display'].HTML = sys.modules['IPython.display'].display = None\n"
        "import raysweep\n"
        "try:\n"
        "    raysweep.run({'name': 'x'})\n"
        "except raysweep.SpecError:\n"
        "    print('tqdm.notebook' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
