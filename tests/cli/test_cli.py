"""The command line as a user meets it: output, exit codes, one-line errors."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from raysweep.cli.main import main

SWEEP = """
name: small
tasks:
  walk: {task: toy}
  quad: {task: polynomial, latents: 4, batch_size: 4, steps: 20, report_every: 10}
estimators:
  ST: {estimator: straight_through, temperature: [1.0, 1.5]}
  RLOO: {estimator: reinforce_loo}
seeds: 2
"""


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder with the sweep in it; exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def ran(cli):
    """The same, after the sweep has run."""
    assert cli("run", "small.yaml", "--inline")[0] == 0
    return cli


def test_run_ends_with_the_table_and_where_results_are(cli, tmp_path):
    code, out, _ = cli("run", "small.yaml", "--inline")
    assert code == 0
    assert "mean ± std (n)" in out
    assert out.rstrip().endswith(f"results: {tmp_path}/sweeps/small")


def test_run_again_prints_the_same(ran):
    assert ran("run", "small.yaml", "--inline") == ran("run", "small.yaml", "--inline")


def test_progress_goes_to_standard_error(cli):
    _, out, err = cli("run", "small.yaml", "--inline")
    assert "12 of 12 runs in " in err
    assert " runs in " not in out


def test_plan_counts_runs_and_starts_nothing(cli, tmp_path):
    code, out, _ = cli("plan", "small.yaml")
    assert code == 0
    assert "12 runs: 12 missing" in out
    assert not (tmp_path / "sweeps").exists()


def test_plan_after_a_run_has_nothing_to_do(ran):
    assert "12 runs: 12 done" in ran("plan", "small.yaml")[1]


def test_status_tells_how_the_runs_ended(ran):
    out = ran("status", "small")[1]
    assert "12 of 12 planned runs ended; no driver" in out


def test_status_without_a_sweep_lists_the_store(ran):
    assert ran("status") == ran("ls")
    assert "small" in ran("ls")[1]


def test_an_empty_store_is_told(cli):
    assert cli("ls")[1].startswith("no sweeps in ")


def test_sql_answers_over_runs_and_curves(ran):
    query = "select count(*) as n from runs join curves using (run_id)"
    assert ran("sql", "small", query, "--format", "csv")[1].splitlines() == ['"n"', "36"]


def test_sql_refuses_a_bad_query_in_one_line(ran):
    code, _, err = ran("sql", "small", "select nothing from nowhere")
    assert code == 2
    assert err.startswith(
        "raysweep: sql: expected a query over runs, planned, curves, attempts and decisions"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_table_has_every_format(ran, form):
    code, out, _ = ran("table", "small", "--format", form)
    assert code == 0
    assert "RLOO" in out


def test_table_can_report_another_metric(ran):
    found = json.loads(ran("table", "small", "--report", "train_loss", "--format", "json")[1])
    assert found["report"] == "train_loss"
    assert len(found["cells"]) == 4


def test_table_of_an_unknown_metric_names_the_nearest(ran):
    code, _, err = ran("table", "small", "--report", "train_los")
    assert code == 2
    assert "'train_los'; did you mean 'train_loss'?" in err


def test_table_of_an_unknown_sweep_names_the_nearest(ran):
    code, _, err = ran("table", "smal")
    assert code == 2
    assert "got 'smal'; did you mean 'small'?" in err


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "small-train_loss.png"),
        (
            ["--metric", "train_loss", "--metric", "distance", "--log"],
            "small-curves-train_loss+distance-log.png",
        ),
        (
            ["--kind", "heatmap", "--over", "temperature", "--tasks", "walk"],
            "small-heatmap-temperature-tasks=walk.png",
        ),
        (
            ["--kind", "paths", "--x", "train_loss", "--y", "distance"],
            "small-paths-train_loss-distance.png",
        ),
        (["--estimators", "RLOO", "--out", "figure.svg"], "figure.svg"),
    ],
)
def test_plot_writes_a_figure_and_says_where(options, name, ran, tmp_path):
    code, out, err = ran("plot", "small", *options)
    assert (code, out, err) == (0, f"{name}\n", "")
    assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--out", "figure.jpg"],
            "--out: expected a name that ends in .png, .pdf, .svg",
        ),
        (["--over", "temperature"], "--over: a figure of kind curves has no such option"),
        (["--kind", "heatmap", "--over", "temperatur"], "did you mean 'estimator.temperature'?"),
    ],
)
def test_plot_refuses_a_mistake_in_one_line(options, message, ran):
    code, out, err = ran("plot", "small", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_rm_names_the_arms_if_no_run_meets_the_condition(ran):
    code, _, err = ran("rm", "small", "--where", "estimator = 'no'", "--yes")
    assert code == 2
    assert re.search(r"no run meets the condition .*; arms of the file, .*: .*RLOO · walk", err)


def test_rm_says_that_planned_runs_train_again(ran):
    out = ran("rm", "small", "--where", "seed = 0", "--yes")[1]
    assert out.endswith("; 'raysweep run' trains those that its file plans again\n")


def test_rm_asks_and_deletes(ran, tmp_path):
    assert ran("rm", "small", "--yes")[0] == 0
    assert not (tmp_path / "sweeps" / "small").exists()


def test_rm_without_a_yes_deletes_nothing(ran, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert ran("rm", "small")[0] == 1
    assert (tmp_path / "sweeps" / "small").exists()


def test_a_broken_file_exits_with_2_and_starts_nothing(cli, tmp_path):
    (tmp_path / "small.yaml").write_text(SWEEP.replace("toy", "tow").replace("seeds", "seed"))
    code, out, err = cli("run", "small.yaml", "--inline")
    assert (code, out) == (2, "")
    assert [line[:28] for line in err.splitlines()] == [
        "raysweep: small.yaml: line 2",
        "raysweep: small.yaml: line 4",
        "raysweep: small.yaml: line 9",
    ]
    assert not (tmp_path / "sweeps").exists()


def test_an_unknown_option_exits_with_2(cli):
    code, _, err = cli("run", "small.yaml", "--inlin")
    assert code == 2
    assert "No such option" in err


def test_credentials_in_a_store_are_refused_unseen(cli):
    code, _, err = cli("ls", "--store", "s3://key:secret@bucket/sweeps")
    assert code == 2
    assert "without credentials" in err
    assert "secret" not in err


def test_missing_data_stops_the_sweep_with_one_line(cli, tmp_path):
    code, _, err = cli(
        "run",
        "small.yaml",
        "--inline",
        "--data",
        tmp_path / "none",
        "--set",
        "tasks.quad={task: categorical_vae, dataset: mnist}",
    )
    assert code == 2
    (line,) = (line for line in err.splitlines() if line.startswith("raysweep: "))
    assert "train-images-idx3-ubyte" in line
    assert str(tmp_path / "none") in line


def test_a_failed_run_exits_with_1_and_still_prints_the_table(cli, tmp_path):
    trouble = tmp_path / "trouble.json"
    trouble.write_text('{"raise": [1]}')
    code, out, err = cli("run", "small.yaml", "--inline", "--set", f"tasks.walk.trouble={trouble}")
    assert code == 1
    assert "mean ± std" in out
    assert "RuntimeError: this seed is unlucky" in err
    assert "3 runs failed; run the same command again to retry" in err


def test_an_unwritable_store_is_told(cli, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = cli("run", "small.yaml", "--inline", "--store", tmp_path / "file")
    assert code == 1
    assert "Not a directory" in err


def test_an_address_without_a_cluster_is_told_at_once(tmp_path):
    (tmp_path / "small.yaml").write_text(SWEEP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "raysweep.cli.main",
            "run",
            "small.yaml",
            "--address",
            address,
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"--address: cannot connect to a Ray cluster at {address}" in done.stderr
    assert "ray start --head" in done.stderr


@pytest.mark.slow
@pytest.mark.ray
def test_a_signal_while_ray_starts_ends_with_its_code(tmp_path):
    (tmp_path / "small.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "raysweep.cli.main", "run", "small.yaml"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "sweeps" / "small" / "spec.json").exists():
            time.sleep(0.05)
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 143
    assert "run the same command again" in error
    assert not (tmp_path / "sweeps" / "small" / "lease").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["table", "x"],
        ["status"],
        ["status", "x"],
        ["sql", "x", "y"],
        ["plot", "x"],
        ["importance", "x"],
        ["export", "x", "--optuna", "y"],
    ],
)
def test_reading_commands_import_neither_torch_nor_ray(arguments, tmp_path):
    unwanted = {"torch", "ray", "optuna", "sklearn"}
    unwanted |= set() if arguments[0] == "plot" else {"altair"}
    code = (
        "import sys\nfrom raysweep.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"heavy = {unwanted!r} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_ls_shows_descriptions_and_finds_sweeps_by_tag(ran, tmp_path):
    about = "description: Two lines\n  of text.\ntags: [draft, cpu]\n"
    (tmp_path / "small.yaml").write_text(SWEEP + about)
    assert ran("run", "small.yaml", "--inline")[0] == 0
    head, line = ran("ls", "--tag", "draft", "--tag", "cpu")[1].splitlines()
    assert head.split()[-2:] == ["tags", "description"]
    assert line.endswith("draft, cpu  Two lines of text.")
    assert ran("ls", "--tag", "final")[1].startswith("no sweeps with the tag final in ")
