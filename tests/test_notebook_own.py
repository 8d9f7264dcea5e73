"""A notebook that defines a task in a cell, trains it in its process and on Ray, and plots."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CELLS = [
    """
import torch
import raysweep

SCALE = 2.0


def sized(hidden):
    layers = torch.nn.Linear(2, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1)
    return torch.nn.Sequential(*layers)
""",
    """
@raysweep.task(metrics={"train_loss": "min"})
def fit(run, *, hidden: int = 4, lr: float = 0.01, steps: int = 5):
    model = sized(hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    run.track(model=model, optimizer=optimizer)
    for _ in run.steps(steps):
        x = torch.randn(16, 2)
        loss = (model(x) - SCALE * x.prod(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(train_loss=loss)
""",
    """
sweep = {
    "name": "fit",
    "tasks": {"product": {"task": "fit"}},
    "methods": {"small": {"hidden": 4}, "large": {"hidden": 16}},
    "seeds": 2,
    "select": {"metric": "train_loss", "mode": "min"},
}
results = raysweep.run(sweep, tasks=[fit], store="here", inline=True)
results
""",
    """
on_ray = raysweep.run(sweep, tasks=[fit], store="there")
same = 'select run_id, seed, "metric.train_loss" from runs order by run_id'
assert on_ray.sql(same).to_pylist() == results.sql(same).to_pylist()
on_ray.table()
""",
    """
on_ray.plot("curves").savefig("curves.png")
""",
]
# The cells of a file, in `__main__`, whose source Python knows, as in the kernel of a notebook.
STAND_IN = """
import json, linecache, sys
for index, cell in enumerate(json.load(open(sys.argv[1]))):
    name = f"/tmp/ipykernel_1/{index}.py"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    exec(compile(cell, name, "exec"), vars(sys.modules["__main__"]))
"""


def in_a_kernel(cells, folder):
    """Run the cells by a kernel of Jupyter; return the HTML that each cell shows."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="python3", timeout=300, resources=resources).execute()
    return [
        "".join(str(output.get("data", {}).get("text/html", "")) for output in cell["outputs"])
        for cell in notebook.cells
    ]


def in_a_process(cells, folder):
    """Run the cells in a process of Python."""
    (folder / "cells.json").write_text(json.dumps(cells))
    (folder / "stand_in.py").write_text(STAND_IN)
    command = [sys.executable, "stand_in.py", "cells.json"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_of_a_cell_trains_the_same_in_the_process_and_on_ray_and_is_drawn(tmp_path):
    in_a_process(CELLS, tmp_path)
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.slow
def test_a_task_of_a_cell_that_was_edited_is_noticed(tmp_path):
    edited = CELLS[1].replace("SCALE * x", "SCALE + x")
    again = CELLS[2].replace("inline=True", "inline=True, quiet=False")
    warned = in_a_process([*CELLS[:3], edited, again], tmp_path).stderr
    assert "the code of task fit changed since 4 runs" in warned


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="needs nbclient")
def test_a_notebook_shows_the_table_of_the_task_of_a_cell(tmp_path):
    shown = in_a_kernel(CELLS, tmp_path)
    assert "<table" in shown[2]
    assert "<table" in shown[3]
    assert (tmp_path / "curves.png").is_file()
