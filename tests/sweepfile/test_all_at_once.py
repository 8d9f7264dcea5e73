"""All mistakes of a file are reported together, each once."""

import pytest

from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

FILE = """
name: 123
tasks:
  quad: {task: polynomial, p: 0.5, latents: 8}
  vae: {task: categorical_vae, dataset: digits, latents: many, categories: 3}
  other: {task: polynomial, latents: 30}
  typo: {task: polynomal, steps: 10}
estimators:
  ST: {estimator: straight_through, temprature: 1.0}
  RLOO: {estimator: reinforce_loo, samples: 1}
  Exact: {estimator: exact, tasks: [other]}
  Lost: {estimator: reinmax, temperature: hot, tasks: [typo]}
training:
  lr: [-0.1, 0.1]
  steps: 5
  steps: 6
  momentum: 1.5
seeds: none
serch: grid
select: {metric: train_los}
early_stopping: {pruner: ashes}
"""


def problems_of(tmp_path, text=FILE, changes=()):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec(path, changes)
    return [line.partition("sweep.yaml: ")[2] for line in caught.value.problems]


EXPECTED = {
    2: "quotes",
    4: "RLOO · quad: p must be at least 1, got 0.5",
    5: "latents: expected a whole number",
    7: "unknown task 'polynomal'",
    9: "unknown setting 'temprature'",
    10: "samples >= 2, got 1",
    11: "Exact · other: this pair cannot run",
    12: "temperature: expected a number",
    14: "lr must be positive, got -0.1",
    16: "'steps' appears twice",
    17: "momentum must be in [0, 1), got 1.5",
    18: "seeds: expected",
    19: "unknown key 'serch'",
    20: "'train_los'",
    21: "'ashes'",
}


def test_mistakes_of_all_kinds_are_reported_together(tmp_path):
    found = {}
    for line in problems_of(tmp_path):
        where, _, message = line.partition(": ")
        found.setdefault(int(where.removeprefix("line ")), []).append(message)
    assert found.keys() == EXPECTED.keys()
    for line, message in EXPECTED.items():
        assert len(found[line]) == 1
        assert message.partition("RLOO · quad: ")[2] or message in found[line][0]


def test_a_mistake_of_several_arms_is_reported_once_with_their_names(tmp_path):
    text = FILE.replace("name: 123", "name: many").replace("p: 0.5, ", "")
    (line,) = (line for line in problems_of(tmp_path, text) if "momentum must" in line)
    assert line.startswith("line 17: ST · quad, RLOO · quad, ST · vae and ")


def test_each_wrong_value_of_a_list_is_reported(tmp_path):
    text = """
name: values
tasks: {quad: {task: polynomial}}
estimators: {ST: {estimator: straight_through}}
training: {lr: [-0.1, 0.1, -0.2], beta1: 2}
seeds: 1
"""
    lines = problems_of(tmp_path, text)
    assert [line.partition(": ")[2] for line in lines] == [
        "ST · quad: lr must be positive, got -0.1",
        "ST · quad: beta1 must be in [0, 1), got 2.0",
        "ST · quad: lr must be positive, got -0.2",
    ]


def test_a_setting_with_a_mistake_causes_no_further_ones(tmp_path):
    text = """
name: doubt
tasks: {quad: {task: polynomial, latents: few}}
estimators: {Exact: {estimator: exact}}
seeds: 1
"""
    (line,) = problems_of(tmp_path, text)
    assert "latents: expected a whole number" in line


def test_mistakes_of_changes_are_reported_with_those_of_the_file(tmp_path):
    changes = ["seeds=", "training.stepz=3"]
    assert len(problems_of(tmp_path, FILE, changes)) == len(EXPECTED) + 2
