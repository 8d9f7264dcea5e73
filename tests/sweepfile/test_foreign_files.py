"""Files of other tools given as sweep files: one line, with what a sweep needs."""

import pytest

from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

NEEDS = (
    "a sweep needs at least name, tasks, estimators (or methods) and seeds; see docs/sweep-file.md"
)
FILES = {
    "W&B": (
        """
program: train.py
name: my sweep
method: bayes
metric: {name: val_loss, goal: minimize}
parameters:
  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}
early_terminate: {type: hyperband, min_iter: 3}
""",
        "it looks like a W&B sweep (keys early_terminate, program, method and 2 more)",
    ),
    "Hydra": (
        "defaults: [_self_, model: vae]\nhydra: {sweeper: {params: {lr: 'choice(1,2)'}}}\nlr: 1",
        "it looks like a Hydra configuration (keys defaults, hydra)",
    ),
    "Ray Tune": (
        "param_space: {lr: [0.1]}\ntune_config: {num_samples: 10}",
        "it looks like a configuration of Ray Tune (keys param_space, tune_config)",
    ),
    "RLlib": (
        "cart-pole:\n  run: PPO\n  stop: {episode_reward_mean: 150}\n  config: {lr: 0.1}",
        "it looks like a configuration of Ray Tune (keys config, run, stop)",
    ),
    "Optuna": (
        "study_name: x\ndirection: minimize\nsearch_space: {lr: {low: 0.1, high: 1}}",
        "it looks like an Optuna study (keys study_name, direction, search_space)",
    ),
    "SEML": (
        "seml: {executable: train.py}\nfixed: {epochs: 5}\ngrid: {lr: {type: choice}}",
        "it looks like a SEML experiment (keys seml, fixed, grid)",
    ),
    "a store": (
        '{"format": 2, "name": "x", "arms": [], "task_labels": ["a"], "search": {}}',
        "it looks like the spec.json of a stored sweep, whose sweep.yaml is beside it",
    ),
    "another program": (
        "site_name: x\nnav: []\nname: x\ntheme: y\nplugins: 3\nhooks: 1",
        "it has no tasks and no estimators, but site_name, nav, theme and 2 more",
    ),
    "a list": ("- a\n- b", "it holds a list"),
    "text": ("numpy==2.0\nscipy==1.0", "it holds text"),
}


def mistakes(tmp_path, text):
    path = tmp_path / "given.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    return caught.value.problems


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tool_is_refused_in_one_line(tmp_path, name):
    text, what = FILES[name]
    (line,) = mistakes(tmp_path, text)
    assert line.startswith(f"{tmp_path / 'given.yaml'}: not a raysweep sweep file: {what}")
    assert line.endswith(f"; {NEEDS}")


def test_a_mapping_of_another_tool_is_refused_in_one_line():
    with pytest.raises(SpecError, match=r"^sweep: not a raysweep sweep.* W&B sweep") as caught:
        read_spec({"method": "grid", "parameters": {"lr": {"values": [1, 2]}}})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nseeds: 3",
        "name: x\ntask: {}\nestimator: {}\nseeds: 3",
        "name: x\nmethod: grid\nparameters: {}\ntasks: {}",
    ],
)
def test_a_sweep_with_mistakes_is_refused_with_all_of_them(tmp_path, text):
    lines = mistakes(tmp_path, text)
    assert len(lines) > 1
    assert not any("not a raysweep sweep file" in line for line in lines)
