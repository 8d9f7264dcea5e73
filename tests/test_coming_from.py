"""The pages for those who come from another tool: what they show there and here does run."""

import runpy
from pathlib import Path

import pytest
from page_helpers import files, sweeps, write_tasks

import raysweep
from raysweep.code.files import added

PAGES = ["coming-from-ray-tune.md", "coming-from-optuna.md", "coming-from-wandb.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_study_here_has_a_table(page, tmp_path):
    (tmp_path / "fit.yaml").write_text(sweeps(page)["fit"])
    with added(write_tasks(page, tmp_path)) as code:
        results = raysweep.run(
            tmp_path / "fit.yaml",
            store=tmp_path,
            inline=True,
            smoke=True,
            tasks=code.tasks,
        )
    assert {cell.status for cell in results.table().cells} == {"selected"}


@pytest.mark.parametrize("page", PAGES)
def test_the_function_here_is_that_of_the_readme(page):
    def code(text):
        return [line.partition("  #")[0] for line in text.splitlines()]

    assert code(files(page)["fit.py"]) == code(files("README.md")["fit.py"])


def there(page, name, folder, changes):
    """Run the file of the other tool with few steps; return its names."""
    text = files(page)[name]
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    path = Path(folder) / name
    path.write_text(text)
    return path


def test_the_study_with_optuna_runs(tmp_path, capsys):
    few = {"steps=300": "steps=3", "n_trials=12": "n_trials=3"}
    path = there("coming-from-optuna.md", "optuna_fit.py", tmp_path, few)
    runpy.run_path(str(path), run_name="__main__")
    assert "'lr'" in capsys.readouterr().out


def test_the_function_with_weights_and_biases_runs_without_a_server(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb, an optional extra, is not installed")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    wandb.teardown()  # settings are read once
    path = there("coming-from-wandb.md", "wandb_fit.py", tmp_path, {"range(300)": "range(3)"})
    runpy.run_path(str(path))["train"]()
    wandb.teardown()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_the_study_with_ray_tune_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS")  # which raysweep sets
    few = {"range(300)": "range(2)", "[0, 1, 2]": "[0]", "[16, 64]": "[16]"}
    path = there("coming-from-ray-tune.md", "tune_fit.py", tmp_path, few)
    runpy.run_path(str(path), run_name="__main__")
    assert "0.003" in capsys.readouterr().out
