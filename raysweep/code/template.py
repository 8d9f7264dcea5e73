"""Files that a new task of one's own starts from."""

import re
import string
from pathlib import Path

from raysweep.errors import SpecError

NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

TASK = string.Template('''\
"""$title: a network that learns which of two half circles a point belongs to."""

import torch
from torch import nn

import raysweep


def half_circles(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy points of two half circles, and the half circle of each; replace this."""
    label = torch.randint(2, (count,))
    angle = torch.pi * torch.rand(count) + torch.pi * label
    points = torch.stack([angle.cos() + label, angle.sin() + 0.3 * label], dim=1)
    return points + 0.2 * torch.randn(count, 2), label


@raysweep.task(metrics={"train_loss": "min", "test_accuracy": "max"})
def $name(run, *, hidden: int = 32, optimizer: str = "adam", lr: float = 1e-2, steps: int = 300):
    """Train one run; every argument after the star is a setting of the sweep file."""
    x, y = half_circles(512)  # the generators are seeded from run.seed already
    test_x, test_y = half_circles(2000)
    model = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2)).to(run.device)
    rule = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](model.parameters(), lr=lr)
    run.track(model=model, optimizer=rule)  # saved at checkpoints, restored when a run resumes
    for _ in run.steps(steps):
        batch = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[batch].to(run.device)), y[batch].to(run.device))
        rule.zero_grad()
        loss.backward()
        rule.step()
        run.report(train_loss=loss)
    with torch.no_grad():
        correct = model(test_x.to(run.device)).argmax(1).cpu() == test_y
    return {"test_accuracy": correct.float().mean()}
''')

SWEEP = string.Template("""\
# raysweep run $name.yaml --code $name.py
# Every key: docs/sweep-file.md
name: $name
tasks:                            # columns of the result table
  32 units: {task: $name}
  128 units: {task: $name, hidden: 128}
methods:                          # rows of the result table
  Adam: {optimizer: adam, lr: [0.01, 0.001]}
  SGD: {optimizer: sgd, lr: [0.1, 0.01]}
training: {steps: 300}
seeds: 5
select: {metric: train_loss, mode: min}
""")


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write the files of a new task, and return them: the code and the sweep file.

    Args:
        name: Name of the task, of the sweep and of the files.
        folder: Folder to write to.

    Raises:
        SpecError: If the name is none for a Python module, a file exists, or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise SpecError(
            "expected a name of lower-case letters, digits and '_', which begins with a letter, "
            f"got {name!r}"
        )
    made = {
        folder / f"{name}.py": TASK.substitute(
            name=name, title=name.replace("_", " ").capitalize()
        ),
        folder / f"{name}.yaml": SWEEP.substitute(name=name),
    }
    for path in made:
        if path.exists():
            raise SpecError(f"{path} exists already; choose another name, or move it away")
    for path, text in made.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise SpecError(f"cannot write {path}: {error.strerror}") from error
    code, sweep = made
    return code, sweep
