"""The commands of the page on trackers do what it says."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tracker_helpers import event_files

from raysweep.cli.main import cli

PAGE = (Path(__file__).parents[2] / "docs" / "trackers.md").read_text()
(FILE, *_) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = re.findall(r"^raysweep (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's file, after its run."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "walk.yaml").write_text(FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        invoke(f"{LINES[0]} --inline")
    return folder


def invoke(line):
    result = CliRunner().invoke(cli, line.split(), standalone_mode=False)
    assert result.exception is None, result.output
    return result.output


def run(folder, option, monkeypatch):
    """The output of the page's command with an option, other than that for a server."""
    (line,) = [line for line in LINES if f"--{option} " in line and "http:" not in line]
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RAYSWEEP_STORE", raising=False)
    return invoke(line)


def test_the_page_has_a_command_for_each_tracker():
    assert LINES[0] == "run walk.yaml"
    for name in ("tensorboard", "wandb", "mlflow"):
        assert any(line.startswith(f"export walk --{name} ") for line in LINES)


def test_the_command_for_tensorboard(folder, monkeypatch):
    assert "4 runs" in run(folder, "tensorboard", monkeypatch)
    assert len(event_files(folder / "events")) == 4


def test_the_command_for_wandb(folder, monkeypatch):
    pytest.importorskip("wandb", reason="wandb, an optional extra, is not installed")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    assert "4 runs" in run(folder, "wandb", monkeypatch)
    (pattern,) = re.findall(r"^wandb sync (\S+)", PAGE, re.MULTILINE)
    assert len(list(folder.glob(pattern))) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own code
def test_the_command_for_mlflow(folder, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow, an optional extra, is not installed")
    assert "4 runs" in run(folder, "mlflow", monkeypatch)
    (uri,) = re.findall(r"^mlflow ui --backend-store-uri (\S+)", PAGE, re.MULTILINE)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("walk").experiment_id
    assert len(client.search_runs([experiment])) == 4 + 2
