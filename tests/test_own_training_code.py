"""The page on training code of one's own: its files, sweeps and messages are the program's."""

import os
import re
import runpy
import subprocess
import sys
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
STACKED = "stacked-training-code.md"
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


def shape(text):
    """The words and signs of a table, without its numbers and widths."""
    return re.sub(r"-+", "-", re.sub(r"[\d.]+", "0", text)).split()


@pytest.fixture
def ten_lines(tmp_path, monkeypatch):
    """The first two files of the page, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("fit.py").write_text(files(PAGE)["fit.py"])
    Path("fit.yaml").write_text(sweeps(PAGE)["fit"])


@pytest.mark.slow
@pytest.mark.usefixtures("ten_lines")
def test_the_first_sweep_prints_the_table_of_the_page(capsys):
    assert call("run", "fit.yaml", "--code", "fit.py", "--inline") == 0
    table = capsys.readouterr().out.rpartition("results:")[0]
    shown = blocks(PAGE, "text")[0].rpartition("results:")[0]
    assert shape(table) == shape(shown)


@pytest.mark.usefixtures("ten_lines")
def test_an_error_of_the_function_is_the_line_of_the_page(capsys):
    code = Path("fit.py")
    code.write_text(code.read_text().replace("Linear(2,", "Linear(3,"))
    assert call("run", "fit.yaml", "--code", "fit.py", "--smoke") == 1
    (shown,) = [text for text in blocks(PAGE, "text") if "mat1" in text]
    assert shown.strip() in capsys.readouterr().err.splitlines()


@pytest.mark.usefixtures("ten_lines")
def test_the_check_of_the_page_passes_and_finds_what_is_not_tracked(capsys):
    assert call("check", "fit", "--code", "fit.py") == 0
    code = Path("fit.py")
    code.write_text(re.sub(r"    run\.track.*", "", code.read_text()))
    assert call("check", "fit", "--code", "fit.py") == 1
    assert "give run.track everything" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("ten_lines")
def test_an_entry_point_whose_value_is_a_function_needs_no_code(tmp_path):
    information = tmp_path / "my_lab-0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 0.1\n")
    (information / "entry_points.txt").write_text("[raysweep.tasks]\nfit = fit:fit\n")
    done = subprocess.run(
        [sys.executable, "-m", "raysweep", "plan", "fit.yaml"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}:{os.environ['PYTHONPATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "20 runs: 20 missing" in done.stdout


def test_the_sweep_of_the_page_on_stacked_runs_is_one_pack(tmp_path):
    (text,) = sweeps(STACKED).values()
    (tmp_path / "digits.yaml").write_text(text)
    (tmp_path / "digits_stacked.py").write_text(files(STACKED)["digits_stacked.py"])
    options = ["--code", tmp_path / "digits_stacked.py", "--store", tmp_path, "--inline"]
    assert call("run", tmp_path / "digits.yaml", *options, "--set", "training.steps=3") == 0
    runs = raysweep.open(tmp_path, "digits-stacked").runs()
    assert runs["replicas"].to_pylist() == [36] * 36


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


REPORTS = {
    "without a loop the last one counts": ((), (3.0, 2.0, 1.0), 1.0),
    "those after the loop replace the last ones": ((3.0, 2.0), (7.0,), 7.0),
    "the last turn counts": ((3.0, 2.0, 1.0), (), 1.0),
}


@pytest.mark.parametrize(("inside", "after", "final"), REPORTS.values(), ids=REPORTS)
def test_final_values_of_reports_are_as_the_page_says(inside, after, final):
    @raysweep.task(metrics={"loss": "min"})
    def reports(run):
        for step in run.steps(len(inside)) if inside else ():
            run.report(loss=inside[step])
        for value in after:
            run.report(loss=value)

    assert trained(reports, []) == {"loss": [final]}


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
        pages = text_of(PAGE) + text_of(STACKED)
        assert path.with_suffix(".py").name in pages


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
