"""Broken sweep files: every mistake is one line that says where, what was expected, what given."""

import itertools
import textwrap

import pytest

from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

GOOD = """
name: broken
tasks:
  digits: {task: categorical_vae, dataset: digits, latents: 30, steps: 50}
  quad: {task: polynomial, p: 2, latents: 8}
estimators:
  ST: {estimator: straight_through, temperature: [1.0, 1.5]}
  RLOO: {estimator: reinforce_loo, samples: 4}
training:
  lr: [0.001, 0.0005]
seeds: 3
search: grid
select: {metric: train_loss, mode: min}
"""

# name: (text of the good file, what replaces it, line of the mistake, what the message says)
MISTAKES = {
    "unknown top key": ("search: grid", "serch: grid", 12, "unknown key 'serch'.*'search'"),
    "unknown task": ("task: polynomial", "task: polynomal", 5, "'polynomal'.*'polynomial'"),
    "unknown estimator": ("straight_through", "straight_thru", 7, "'straight_through'"),
    "unknown setting of a task": ("latents: 8", "latent: 8", 5, "'latent'.*'latents'"),
    "unknown setting of an estimator": ("samples: 4", "sample: 4", 8, "'sample'.*'samples'"),
    "unknown training key": ("  lr:", "  learning_rate:", 10, "unknown key 'learning_rate'"),
    "unknown metric": ("train_loss", "train_los", 13, "'train_los'.*'train_loss'"),
    "metric of one task only": ("train_loss", "test_neg_elbo", 13, "metric of every task"),
    "mode against the metric": ("mode: min", "mode: max", 13, "expected mode min"),
    "duplicate label": ("  RLOO:", "  ST:", 8, "'ST' .*twice .first on line 7"),
    "duplicate key": ("seeds: 3", "seeds: 3\nseeds: 4", 12, "'seeds' .*twice"),
    "text for a number": ("latents: 8", "latents: many", 5, "a whole number, got 'many'"),
    "fraction for a whole number": ("latents: 8", "latents: 8.5", 5, "a whole number, got 8.5"),
    "word for a truth": ("p: 2,", "nesterov: no, p: 2,", 5, "true or false, got 'no'"),
    "empty choice": ("[0.001, 0.0005]", "[]", 10, "at least one choice for 'lr'"),
    "repeated choice": ("[1.0, 1.5]", "[1, 1.0]", 7, "each choice of 'temperature' once"),
    "range under grid": ("[1.0, 1.5]", "{low: 1, high: 2}", 7, "got a range; list its values"),
    "value out of range": ("samples: 4", "samples: 1", 8, "samples >= 2, got 1"),
    "negative learning rate": ("[0.001, 0.0005]", "-0.001", 10, "lr must be positive"),
    "zero steps": ("steps: 50", "steps: 0", 4, "steps must be at least 1, got 0"),
    "no seeds": ("seeds: 3", "seeds: 0", 11, "1 to 999999 seeds, got 0"),
    "repeated seeds": ("seeds: 3", "seeds: [1, 1]", 11, "distinct seeds"),
    "missing name": ("name: broken", "resources: {cpu: 1}", 2, "the key 'name'"),
    "bad name": ("name: broken", "name: Not Good", 2, "lower-case letters"),
    "number as a name": ("name: broken", "name: 123", 2, 'put it in quotes: name: "123"'),
    "empty name": ("name: broken", "name:", 2, "the key 'name'"),
    "estimator for no task": ("samples: 4", "samples: 4, tasks: []", 8, "at least one label"),
    "label with a line break": ("  quad:", '  "qu\\nad":', 5, "a label that can be printed"),
    "pair of values that cannot be": (
        "straight_through, temperature: [1.0, 1.5]",
        "reinmax, temperature: [1.0, 1.5], baseline: [expected, uniform]",
        7,
        "uniform baseline needs temperature 1",
    ),
    "missing tasks": ("tasks:\n", "resources:\n", 2, "the key 'tasks'"),
    "not a mapping": (
        "  quad: {task: polynomial, p: 2, latents: 8}",
        "  quad: polynomial",
        5,
        "'quad' as {task: NAME",
    ),
    "unknown sampler": ("search: grid", "search: {sampler: tpee, configurations: 3}", 12, "'tpe'"),
    "number of configurations missing": ("search: grid", "search: tpe", 12, "configurations: N"),
    "unknown resource": ("search: grid", "resources: {gpus: 1}", 12, "'gpus'.*'gpu'"),
    "pack of none": ("search: grid", "resources: {pack: 0}", 12, "pack of at least 1"),
    "unknown label": ("samples: 4", "samples: 4, tasks: [digit]", 8, "'digit'.*'digits'"),
    "override of nothing": ("search: grid", "overrides: [{tasks: [nope], lr: 1.0}]", 12, "'nope'"),
    "pair that cannot run": ("reinforce_loo, samples: 4", "exact", 8, "cannot run.*states"),
    "tab for a space": ("  lr:", "\tlr:", 10, "a tab is not allowed here; use spaces"),
    "unclosed bracket": ("[1.0, 1.5]}", "[1.0, 1.5}", 7, "not valid YAML"),
    "code in a tag": ("seeds: 3", "seeds: !!python/name:os.system 3", 11, "the YAML tag .*remove"),
    "unknown pruner": (
        "search: grid",
        "early_stopping: {pruner: ashes}",
        12,
        "expected a pruner, got .ashes.; did you mean .asha.",
    ),
    "bad kind of value": ("[0.001, 0.0005]", "{lo: 1, hi: 2}", 10, "got {lo, hi}"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path, name):
    old, new, line, message = MISTAKES[name]
    assert old in GOOD
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SpecError, match=rf"sweep.yaml: line {line}: (?s:.*){message}"):
        read_spec(path)


def test_the_unbroken_file_is_read(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD)
    assert len(read_spec(path).arms) == 4


def test_all_mistakes_of_a_file_are_told_together(tmp_path):
    path = tmp_path / "sweep.yaml"
    text = GOOD.replace("seeds: 3", "seeds: none").replace("samples: 4", "sampels: 4")
    path.write_text(text.replace("search: grid", "serch: grid"))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    lines = [line.partition("sweep.yaml: ")[2][:8] for line in caught.value.problems]
    assert lines == ["line 8: ", "line 11:", "line 12:"]


def test_every_problem_is_a_single_line(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("name: x\ntasks: 3\nestimators: []\nseeds: {}\nsearch: 4\n")
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert all("\n" not in problem for problem in caught.value.problems)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SpecError, match=r"nothing\.yaml: no such file"):
        read_spec(tmp_path / "nothing.yaml")


def test_an_empty_file_is_told(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("")
    with pytest.raises(SpecError, match=r"line 1: the file is empty.*tasks"):
        read_spec(path)


def test_aliases_without_end_are_refused(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("a: &a [*a]\n")
    with pytest.raises(SpecError, match="contain themselves"):
        read_spec(path)


def test_aliases_that_multiply_are_refused(tmp_path):
    path = tmp_path / "sweep.yaml"
    names = "abcdefgh"
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in itertools.pairwise(names)]
    path.write_text("\n".join(lines))
    with pytest.raises(SpecError, match="write the values out"):
        read_spec(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.stepz=5", "unknown setting 'stepz'.*'steps'"),
        ("seeds", "expected KEY=VALUE, got 'seeds'"),
        ("seeds=", "no value after '='"),
        ("seeds.first=3", "'seeds' holds a value"),
        ("training.lr=[", "changes training.lr: not valid YAML"),
        ("resources.pack=-1", "changes resources.pack: expected pack of at least 1, got -1"),
    ],
)
def test_a_bad_change_is_told(tmp_path, change, message):
    path = tmp_path / "sweep.yaml"
    path.write_text(textwrap.dedent(GOOD))
    with pytest.raises(SpecError, match=message):
        read_spec(path, [change])
