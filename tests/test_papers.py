"""The papers' sweep files: every one opens as agreed, can be planned, and runs a few steps."""

import math
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import raysweep
from raysweep.cli.main import main
from raysweep.driver.session import load

FOLDER = Path(__file__).parent.parent / "examples" / "papers"
FILES = sorted(FOLDER.glob("*.yaml"))
REINMAX = [f"reinmax-figure-{n}" for n in (1, 2, 4, 6, 7, 8, 9, 10)]
REINMAX += [f"reinmax-table-{n}" for n in (1, 2, 4, 5, 6)]
PSA = [f"psa-figures-{n}" for n in ("2-3", "c3-c4", "c5-c6")]
PSA += [*(f"psa-figure-{n}" for n in ("4", "4-subset", "c2", "c7")), "psa-learning-rates"]
OTHERS = ["coupled-figure-1", "project-rebar-figures-8-9", "project-rebar-figure-10"]
APPENDIX = ["rebar-appendix", "rebar-appendix-figure-5"]
FEW_EXPRESSIONS = [
    "training.training_examples=300",
    "training.validation_examples=20",
    "training.evaluation_examples=200",
    "training.max_tokens=40",
]
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_every_experiment_has_its_file():
    assert {path.stem for path in FILES} == {*REINMAX, *PSA, *OTHERS, *APPENDIX}


@each_file
def test_a_file_opens_with_what_it_shows_costs_and_changes(path):
    lines = path.read_text().splitlines()
    assert [line.startswith("# ") for line in lines[:4]] == [True, True, True, False]
    assert lines[1].startswith("# Costs ")
    assert lines[2].startswith("# Differs: ")
    assert lines[3] == f"name: {path.stem}"


@each_file
def test_the_cost_in_a_file_is_what_its_plan_says(path, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["plan", str(path), "--store", str(tmp_path)])
    assert end.value.code == 0
    planned = int(re.search(r"(?:runs: |: )(\d+) missing", capsys.readouterr().out)[1])
    assert f"# Costs {planned:,} runs" in path.read_text().splitlines()[1]


@each_file
def test_the_options_in_a_files_opening_change_what_it_runs(path):
    options = re.findall(r"--set (\S+?)(?=[\s;,]|$)", " ".join(path.read_text().splitlines()[:3]))
    for option in options:
        before, after = load(path, []), load(path, [option])
        runs = [
            {
                arm.configuration(cell).run_id(seed)
                for arm in s.arms
                for cell in arm.cells()
                for seed in s.seeds
            }
            for s in (before, after)
        ]
        assert runs[0] != runs[1], option


def test_steps_that_are_set_stay_when_all_overrides_are_set_after_them():
    spec = load(FOLDER / "reinmax-table-5.yaml", ["training.steps=77", "overrides=[]"])
    settings = [arm.configuration(next(arm.cells())).settings for arm in spec.arms]
    assert {each["training.steps"] for each in settings} == {77}


def test_the_whole_search_of_table_2_is_one_option_away():
    spec = load(FOLDER / "reinmax-table-2.yaml", ["overrides=[]"])
    assert sum(arm.size for arm in spec.arms) * len(spec.seeds) == 24_480


@pytest.mark.slow
@each_file
def test_a_file_runs_a_few_steps_of_everything(path, data_folder, tmp_path):
    if "cifar10_jpeg" in path.read_text() and not (data_folder / "CIFAR10").is_dir():
        pytest.skip(f"no CIFAR10 in {data_folder}")
    batched = "batch_size" in YAML(typ="safe").load(path).get("training", {})
    few = ["training.batch_size=8"] if batched else []  # as many arms, whose steps are shorter
    if path.stem == "reinmax-table-4":  # whose images are not all in the data folder
        present = {"dataset": "cifar10_subset", "architecture_examples": 500}
        labels = YAML(typ="safe").load(path)["tasks"]
        few += [
            f"tasks.{label}.{key}={value}" for label in labels for key, value in present.items()
        ]
    if "task: listops" in path.read_text():
        if not list((data_folder / "ListOps").glob("train_regenerated_90k.tsv*")):
            pytest.skip(f"no regenerated training set in {data_folder}")
        few += FEW_EXPRESSIONS
    results = raysweep.run(
        path, store=tmp_path, data=data_folder, inline=True, smoke=True, changes=few
    )
    planned = {arm.configuration(next(arm.cells())).configuration_id for arm in results.spec.arms}
    rows = results.runs().to_pylist()
    assert {row["configuration_id"] for row in rows} == planned
    assert {row["status"] for row in rows} == {"done"}
    for row in rows:
        found = {key: value for key, value in row.items() if key.startswith("metric.")}
        assert found["metric.train_loss"] is not None
        assert all(math.isfinite(value) for value in found.values() if value is not None)


def test_of_ten_learning_rates_in_psas_figure_4_the_best_trains_on_after_five_epochs(tmp_path):
    spec = YAML(typ="safe").load(FOLDER / "psa-figure-4.yaml")
    points = {"dataset": "points", "network": "dense", "validation_examples": 0}
    spec["tasks"] = {"points": {"task": "sbn_classifier", **points}}
    spec["estimators"] = {"ST": spec["estimators"]["ST"]}
    spec["training"] |= {"batch_size": 10, "steps": 200, "report_every": 20}  # an epoch
    spec["early_stopping"]["grace"] = 5 * 20
    del spec["overrides"]
    results = raysweep.run(spec, store=tmp_path, inline=True)
    rows = results.runs().to_pylist()
    assert sorted((row["status"], row["steps"]) for row in rows) == [
        ("done", 200),
        *[("stopped", 100)] * 9,
    ]
    rates = sorted(row["param.training.lr"] for row in rows)
    assert rates[0] < 1e-5
    assert rates[-1] > 0.1
    at_rung = {
        row["run_id"]: row["train_objective"]
        for row in results.curves().to_pylist()
        if row["step"] == 100
    }
    (best,) = [row["run_id"] for row in rows if row["status"] == "done"]
    assert min(at_rung, key=at_rung.get) == best
