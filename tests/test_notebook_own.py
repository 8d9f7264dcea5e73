"""A notebook that defines a task in a cell, trains it in its process and on Ray, and plots."""

import nbformat
import pytest
from nbclient import NotebookClient

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
on_ray.plot("curves").save("curves.png")
""",
]


def executed(cells, folder):
    """Run the cells by a kernel of Jupyter; return the outputs of each cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="python3", timeout=300, resources=resources).execute()
    return [cell["outputs"] for cell in notebook.cells]


def html(outputs):
    """Return the HTML that a cell shows."""
    return "".join(str(output.get("data", {}).get("text/html", "")) for output in outputs)


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_of_a_cell_trains_the_same_in_the_process_and_on_ray_and_is_drawn(tmp_path):
    shown = executed(CELLS, tmp_path)
    assert "<table" in html(shown[2])
    assert "<table" in html(shown[3])
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.slow
def test_a_task_of_a_cell_that_was_edited_is_noticed(tmp_path):
    edited = CELLS[1].replace("SCALE * x", "SCALE + x")
    again = CELLS[2].replace("inline=True", "inline=True, quiet=False")
    outputs = executed([*CELLS[:3], edited, again], tmp_path)[4]
    assert "the code of task fit changed since 4 runs" in html(outputs)
