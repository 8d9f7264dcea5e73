"""What a good sweep file means."""

import math

import pytest

from raysweep.errors import SpecError
from raysweep.sweep.space import Choice, Fixed, Range, coerce
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.reader import read_spec


def spec_of(**keys):
    base = {
        "name": "values",
        "tasks": {"quad": {"task": "polynomial", "latents": 8}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 2,
    }
    return read_spec({**base, **keys})


def space(spec, arm=0):
    return spec.arms[arm].space


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1.0e-3", 1e-3), (".5", 0.5), ("1", 1.0), ("0o17", 15.0), ("+2.5", 2.5)],
)
def test_numbers_are_read_as_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: x\ntasks: {q: {task: polynomial}}\nestimators: {ST: {estimator: "
        f"straight_through}}}}\nseeds: 1\ntraining: {{lr: {text}}}\n"
    )
    assert space(read_spec(path))["training.lr"] == Fixed(value)


def test_a_list_is_a_choice_in_the_files_order():
    spec = spec_of(training={"lr": [0.3, 0.1]})
    assert space(spec)["training.lr"] == Choice((0.3, 0.1))


def test_a_list_of_one_is_a_value():
    assert space(spec_of(training={"lr": [0.3]}))["training.lr"] == Fixed(0.3)


def test_a_wrapped_list_is_one_value():
    tasks = {"v": {"task": "categorical_vae", "dataset": "digits", "hidden": {"value": [64, 32]}}}
    assert space(spec_of(tasks=tasks))["task.hidden"] == Fixed((64, 32))


def test_a_list_of_wrapped_lists_is_a_choice():
    hidden = [{"value": [64]}, {"value": [64, 32]}]
    tasks = {"v": {"task": "categorical_vae", "dataset": "digits", "hidden": hidden}}
    assert space(spec_of(tasks=tasks))["task.hidden"] == Choice(((64,), (64, 32)))


@pytest.mark.parametrize("hidden", [[64], [64, 32]])
def test_a_list_for_a_setting_of_lists_is_refused_with_the_form_of_one_list(hidden):
    tasks = {"v": {"task": "categorical_vae", "dataset": "digits", "hidden": hidden}}
    with pytest.raises(SpecError) as caught:
        spec_of(tasks=tasks)
    assert str(caught.value).endswith(
        f"hidden: a list is a choice of values; write {{value: {hidden}}} for the list {hidden} "
        "as one value"
    )


@pytest.mark.parametrize("hidden", [64, {"value": 64}, [64, {"value": [32]}], [64, "many"]])
def test_a_number_for_a_setting_of_lists_is_refused_with_the_form_of_a_list(hidden):
    tasks = {"v": {"task": "categorical_vae", "dataset": "digits", "hidden": hidden}}
    with pytest.raises(SpecError) as caught:
        spec_of(tasks=tasks)
    assert str(caught.value).endswith(
        "hidden: expected a list in the form {value: [...]}, with a whole number for each item, "
        "got 64"
    )


def test_a_range_has_low_high_and_log():
    spec = spec_of(
        training={"lr": {"low": 1e-4, "high": 1e-2, "log": True}},
        search={"sampler": "random", "configurations": 3},
    )
    assert space(spec)["training.lr"] == Range(1e-4, 1e-2, log=True)


def test_later_blocks_win():
    spec = spec_of(
        training={"lr": 0.1, "steps": 10},
        tasks={"quad": {"task": "polynomial", "lr": 0.2, "steps": 20}},
        estimators={"ST": {"estimator": "straight_through", "lr": 0.3}},
        overrides=[{"lr": 0.4}, {"estimators": ["ST"], "lr": 0.5}],
    )
    assert space(spec)["training.lr"] == Fixed(0.5)
    assert space(spec)["training.steps"] == Fixed(20)


def test_an_override_reaches_only_its_cells():
    tasks = {name: {"task": "polynomial", "latents": 8} for name in ("a", "b")}
    spec = spec_of(tasks=tasks, overrides=[{"tasks": ["b"], "lr": 0.7}])
    found = {arm.task_label: arm.space["training.lr"] for arm in spec.arms}
    assert found == {"a": Fixed(0.001), "b": Fixed(0.7)}


def test_an_estimator_can_be_kept_to_some_tasks():
    tasks = {name: {"task": "polynomial", "latents": 8} for name in ("a", "b")}
    estimators = {
        "ST": {"estimator": "straight_through"},
        "EX": {"estimator": "exact", "tasks": ["b"]},
    }
    spec = spec_of(tasks=tasks, estimators=estimators)
    assert [(arm.estimator_label, arm.task_label) for arm in spec.arms] == [
        ("ST", "a"),
        ("ST", "b"),
        ("EX", "b"),
    ]


def test_merged_keys_fill_what_is_silent(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: x\ntasks:\n  a: &base {task: polynomial, latents: 8, p: 3}\n"
        "  b: {<<: *base, p: 1.5}\n"
        "estimators: {ST: {estimator: straight_through}}\nseeds: 1\n"
    )
    spec = read_spec(path)
    assert [each["task.p"].value for each in (space(spec, 0), space(spec, 1))] == [3.0, 1.5]
    assert space(spec, 1)["task.latents"] == Fixed(8)


def test_templates_at_the_top_are_ignored(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: x\nx-common: &common {latents: 8, p: 3}\n"
        "tasks:\n  a: {task: polynomial, <<: *common}\n"
        "estimators: {ST: {estimator: straight_through}}\nseeds: 1\n"
    )
    assert space(read_spec(path))["task.p"] == Fixed(3.0)


def test_seeds_are_a_count_or_a_list():
    assert spec_of(seeds=3).seeds == (0, 1, 2)
    assert spec_of(seeds=[0, 7, 9]).seeds == (0, 7, 9)


def test_the_mode_follows_the_metric_where_the_file_is_silent():
    assert spec_of(select={"metric": "expected_loss"}).select.mode == "min"


def test_a_spec_survives_plain_data():
    spec = spec_of(
        training={"lr": {"low": 1e-4, "high": 1e-2}, "optimizer": ["adam", "sgd"]},
        search={"sampler": "tpe", "configurations": 3},
    )
    again = Spec.from_json(spec.to_json())
    assert again.to_json() == spec.to_json()


def test_a_grid_has_every_combination_once():
    spec = spec_of(training={"lr": [0.1, 0.2], "optimizer": ["adam", "sgd", "radam"]})
    ids = {spec.arms[0].configuration(cell).configuration_id for cell in spec.arms[0].cells()}
    assert len(ids) == spec.arms[0].size == 6


@pytest.mark.parametrize(
    ("declared", "value", "meant"),
    [
        (float, 1, 1.0),
        (int, 3.0, 3),
        (int | None, None, None),
        (float | str, "all", "all"),
        (tuple[int, ...], [1, 2], (1, 2)),
        (bool, True, True),
        (float, -0.0, 0.0),
    ],
)
def test_values_take_their_declared_type(declared, value, meant):
    found = coerce(value, declared)
    assert found == meant
    assert type(found) is type(meant)
    assert str(found) == str(meant)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (int, True),
        (float, "1"),
        (int, 1.5),
        (bool, 1),
        (float, math.inf),
        (str, 3),
        (tuple[int, ...], 3),
        (int, None),
    ],
)
def test_values_of_another_type_are_refused(declared, value):
    with pytest.raises(ValueError, match=r"expected .*, got "):
        coerce(value, declared)


def test_description_and_tags_are_read_and_change_no_run():
    plain = {
        "name": "told",
        "tasks": {"walk": {"task": "toy"}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
    }
    spec = read_spec({**plain, "description": "A first\n  try.", "tags": ["draft", "draft", "a b"]})
    assert (spec.description, spec.tags) == ("A first try.", ("draft", "a b"))
    assert Spec.from_json(spec.to_json()).tags == spec.tags
    (arm,), (other,) = spec.arms, read_spec(plain).arms
    assert arm.configuration({}).configuration_id == other.configuration({}).configuration_id


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tags": "draft"}, "expected a list of words as tags, such as .* got 'draft'"),
        ({"tags": ["a", 1]}, r"expected a list of words as tags, such as .* got \['a', 1\]"),
        ({"description": ["a"]}, r"expected a text as description, got \['a'\]"),
    ],
    ids=str,
)
def test_a_description_is_a_text_and_tags_are_words(given, message):
    with pytest.raises(SpecError, match=message):
        read_spec({"name": "told", "seeds": 1, **given})
