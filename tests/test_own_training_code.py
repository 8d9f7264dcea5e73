"""The page on training code of one's own: its files, sweeps and messages are the program's."""

import re
import runpy
from pathlib import Path

import pytest
import torch
from page_helpers import ROOT, blocks, files, sweeps, text_of, write_tasks

import raysweep
from raysweep import registry
from raysweep.cli.main import main
from raysweep.code.files import added
from raysweep.tasks.base import Replica

PAGE = "own-training-code.md"
EXAMPLES = sorted((ROOT / "examples" / "own").glob("*.yaml"))


def call(*words):
    """Call a command; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    return end.value.code


def tried(sweep, code, folder):
    """Run a sweep file with a few steps; return the states of the cells of its table."""
    options = [word for path in code for word in ("--code", path)]
    assert call("run", sweep, *options, "--smoke", "--store", folder) == 0
    name = re.search(r"^name: (\S+)", Path(sweep).read_text(), re.MULTILINE)[1]
    return [cell.status for cell in raysweep.open(folder, f"{name}-smoke").table().cells]


@pytest.mark.parametrize("name", sweeps(PAGE))
def test_a_sweep_of_the_page_trains_with_the_files_of_the_page(name, tmp_path):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(sweeps(PAGE)[name])
    states = tried(sweep, write_tasks(PAGE, tmp_path), tmp_path / "store")
    assert set(states) == {"selected"}


def trained(task, stops, **settings):
    """Train a run of a task, stopped and resumed after some of its steps; return its metrics."""
    values = task.settings(**settings)
    names = registry.estimator_names(task.family)
    name = "none" if "none" in names else "straight_through"
    state, metrics = None, {}
    for stop in [*stops, None]:
        method = registry.estimator_class(task.family, name)()
        training = task.start(values, [Replica("r", 7, {})], method, torch.device("cpu"))
        if state is not None:
            training.load_state_dict(state)
        training.advance((stop or training.length()) - training.step)
        if stop is None:
            metrics = {key: value.tolist() for key, value in training.evaluate().items()}
        state = training.state_dict()
        training.close()
    return metrics


def test_every_task_of_the_page_gives_the_same_numbers_after_it_was_stopped(tmp_path):
    with added(write_tasks(PAGE, tmp_path)) as code:
        in_steps = [task for task in code.tasks if task.name != "settings"]
        assert {task.name for task in in_steps} == {"fit", "best", "code_of_two"}
        for task in in_steps:
            assert trained(task, [2, 5]) == trained(task, [])


LIMITS = {"digits_mlp": {"steps": 6}, "mnist_cnn": {"examples": 256, "epochs": 3}}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_mlp", "mnist_cnn", "categorical_code"])
def test_an_example_gives_the_same_numbers_after_it_was_stopped(name, data_folder, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(data_folder))
    with added([ROOT / "examples" / "own" / f"{name}.py"]) as code:
        settings = LIMITS.get(name, {"steps": 6})
        assert trained(code.tasks[0], [1, 2], **settings) == trained(code.tasks[0], [], **settings)


def test_the_script_of_the_page_trains_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(files(PAGE)["script.py"])
    runpy.run_path("script.py", run_name="__main__")
    assert "descend: height" in capsys.readouterr().out
    assert Path("descend.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains_with_its_file(path, tmp_path, data_folder, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(data_folder))
    assert set(tried(path, [path.with_suffix(".py")], tmp_path)) == {"selected"}


def test_an_example_says_how_it_is_run():
    for path in EXAMPLES:
        name = path.relative_to(ROOT)
        first = path.read_text().splitlines()[0]
        assert first == f"# raysweep run {name} --code {name.with_suffix('.py')}"
        assert path.with_suffix(".py").is_file()
        assert path.with_suffix(".py").name in text_of(PAGE)


MISTAKES = {
    "no type": ("hidden: int = 16, lr: float = 0.01", "hidden: int = 16, lr=0.01"),
    "no module": ("\nimport raysweep\n", "import raysweep\nfrom models import make\n"),
    "no task": ('\n@raysweep.task(metrics={"train_loss": "min"})', ""),
}


@pytest.mark.parametrize(("before", "after"), MISTAKES.values(), ids=MISTAKES)
def test_a_refusal_is_the_line_of_the_page(tmp_path, capsys, before, after):
    text = files(PAGE)["fit.py"]
    assert before in text
    (tmp_path / "fit.py").write_text(text.replace(before, after))
    (tmp_path / "fit.yaml").write_text(sweeps(PAGE)["fit"])
    assert call("plan", tmp_path / "fit.yaml", "--code", tmp_path / "fit.py") == 2
    (line,) = capsys.readouterr().err.splitlines()
    (shown,) = [block for block in blocks(PAGE, "text") if "has no type" in block]
    assert line in shown.splitlines()
