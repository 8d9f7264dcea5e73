"""The JSON schema for editors agrees with the reader of sweep files."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from raysweep import registry
from raysweep.cli.main import cli
from raysweep.errors import SpecError
from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import PRUNERS, TRACKERS
from raysweep.sweepfile import keys
from raysweep.sweepfile.reader import read_spec
from raysweep.sweepfile.schema import schema

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = {
    **{
        str(path.relative_to(ROOT)): path.read_text()
        for path in (ROOT / "examples").rglob("*.yaml")
    },
    **{
        f"{page.name}-{index}": text
        for page in PAGES
        if page.name != "own-model.md"  # its task is the reader's own
        for index, text in enumerate(BLOCK.findall(page.read_text()))
        if re.search("^name:", text, re.MULTILINE)
    },
}
SMALL = {
    "name": "small",
    "tasks": {"quad": {"task": "polynomial", "latents": 8}},
    "estimators": {"ST": {"estimator": "straight_through", "temperature": [1.0, 1.5]}},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def merged(**sections):
    return {**copy.deepcopy(SMALL), **sections}


def with_training(**settings):
    return merged(
        training=settings, search={"sampler": "random", "configurations": 2}, estimators=PLAIN
    )


PLAIN = {"ST": {"estimator": "straight_through"}}
CONDITION = {"optimizer": "sgd"}
GOOD = {
    "plain": merged(),
    "null": merged(training=None, overrides=None),
    "template": merged(**{"x-small": {"anything": 1}}),
    "seeds": merged(seeds=[0, 7]),
    "fresh seeds": merged(seeds={"search": 2, "report": 3}),
    "range": with_training(lr={"low": 1e-4, "high": 0.1, "log": True}),
    "step": with_training(batch_size={"low": 4, "high": 32, "step": 4}),
    "num": with_training(lr={"low": 1e-4, "high": 0.1, "num": 5, "log": True}),
    "value": with_training(lr={"value": 0.1}),
    "wrapped choices": with_training(lr=[{"value": 0.1}, 0.2]),
    "when": with_training(optimizer=["adam", "sgd"], momentum={"when": CONDITION, "value": 0.9}),
    "branches": with_training(
        optimizer=["adam", "sgd"], lr=[{"when": CONDITION, "choices": [0.1, 1.0]}, 0.001]
    ),
    "range under a condition": with_training(
        optimizer=["adam", "sgd"], lr={"when": CONDITION, "low": 0.1, "high": 1.0, "step": 0.1}
    ),
    "null value": with_training(tuning_lr=None),
    "together": with_training(together=[{"lr": 0.1, "optimizer": "sgd"}, {"lr": [0.01, 0.1]}]),
    "together twice": with_training(
        together=[[{"lr": 0.1}, {"lr": 0.2}], [{"beta1": 0.8}, {"beta1": 0.9}]]
    ),
    "schedule": merged(
        estimators={
            "E": {"estimator": "reinmax", "temperature": {"from": 2, "to": 1, "over": "steps"}}
        }
    ),
    "searched schedule": merged(
        estimators={
            "E": {
                "estimator": "rebar",
                "learn_eta": False,
                "eta": {"from": [1, 2], "to": [None, 0.5], "over": ["steps", 9], "shape": "cosine"},
            }
        }
    ),
    "schedule in an override": merged(overrides=[{"temperature": {"from": 2, "to": 1, "over": 9}}]),
    "qualified": merged(tasks={"q": {"task": "polynomial", "task.p": 3, "training.lr": 0.1}}),
    "training of an estimator": merged(
        estimators={"ST": {"estimator": "straight_through", "lr": 0.1, "tasks": "quad"}}
    ),
    "override": merged(overrides=[{"tasks": ["quad"], "p": [2, 3], "estimator.temperature": 2}]),
    "list that is one value": merged(
        tasks={"m": {"task": "categorical_vae", "hidden": {"value": [8, 4]}}}
    ),
    "choice between lists": merged(
        tasks={"m": {"task": "categorical_vae", "hidden": [{"value": [8]}, {"value": [8, 4]}]}}
    ),
    "settings of both families": merged(
        tasks={"quad": {"task": "polynomial"}, "points": {"task": "sbn_gradient_quality"}},
        estimators={
            "REBAR": {"estimator": "rebar", "coupled": False, "tasks": ["quad"]},
            "layers": {"estimator": "rebar", "passes": "layers", "tasks": ["points"]},
            "PSA": {"estimator": "psa", "head_enhancement": [True, False], "tasks": ["points"]},
        },
    ),
    "sampler": merged(search={"sampler": "tpe", "configurations": 3, "n_startup_trials": 2}),
    "name of a sampler": merged(search="tpe", budget={"runs": 9}),
    "pruner": merged(early_stopping={"pruner": "asha", "grace": 100}),
    "name of a pruner": merged(early_stopping="median"),
    "two metrics": merged(select={"metric": ["train_loss", "expected_loss"]}),
    "budget": merged(budget={"hours": 1.5, "arm": {"runs": 3}}),
    "resources": merged(resources={"pack": "auto", "cpu": 0.5, "stop_after": None}),
    "tracker": merged(tracker="tensorboard"),
    "trackers": merged(tracker={"tensorboard": None, "wandb": "lab/project"}),
}
METHODS = {"slow": {"lr": 0.1}, "fast": {"lr": [0.5, {"value": 0.6}], "tasks": ["a"]}}
OWN = {key: value for key, value in SMALL.items() if key != "estimators"}
OWN |= {"tasks": {"a": {"task": "walk", "speed": [1, 2], "hidden": [8, 4]}}, "methods": METHODS}
OF_OWN_TASKS = {
    "methods": OWN,
    "metrics": {**OWN, "select": {"metric": ["accuracy", "train_loss"]}},
    "early stopping": {**OWN, "early_stopping": {"pruner": "asha", "metric": "accuracy"}},
    "settings of the task": {**OWN, "overrides": [{"methods": ["fast"], "speed": 3}]},
    "methods beside estimators": merged(
        tasks={**OWN["tasks"], **SMALL["tasks"]}, methods=METHODS, overrides=[{"speed": 3}]
    ),
    "an empty method": {**OWN, "methods": {"plain": {}}},
}
BAD = {
    "no name": {key: value for key, value in SMALL.items() if key != "name"},
    "upper case": merged(name="Small"),
    "unknown key": merged(seed=1),
    "no task": merged(tasks={"a": {"latents": 3}}),
    "no tasks": merged(tasks={}),
    "unknown setting": merged(tasks={"a": {"task": "polynomial", "latent": 3}}),
    "setting of another task": merged(tasks={"a": {"task": "polynomial", "hidden": 3}}),
    "text for a number": with_training(lr="high"),
    "unknown choice": with_training(optimizer="adamw"),
    "empty choice": with_training(lr=[]),
    "bare list": merged(tasks={"m": {"task": "categorical_vae", "hidden": [8, 4]}}),
    "range of words": with_training(optimizer={"low": 1, "high": 2}),
    "half a range": with_training(lr={"low": 0.1}),
    "step and log": with_training(lr={"low": 0.1, "high": 0.2, "step": 0.1, "log": True}),
    "when alone": with_training(momentum={"when": CONDITION}),
    "two forms": with_training(momentum={"when": CONDITION, "value": 0.9, "choices": [0.9]}),
    "unknown setting in together": with_training(together=[{"lrr": 0.1}]),
    "unknown estimator": merged(estimators={"a": {"estimator": "reinmaxx"}}),
    "unknown sampler": merged(search={"sampler": "bayes"}),
    "setting of another sampler": merged(
        search={"sampler": "random", "configurations": 2, "popsize": 4}
    ),
    "configurations of a grid": merged(search={"sampler": "grid", "configurations": 4}),
    "no configuration": merged(search={"sampler": "random", "configurations": 0}),
    "setting of another pruner": merged(early_stopping={"pruner": "asha", "interval": 2}),
    "metric of racing": merged(early_stopping={"pruner": "racing", "metric": "train_loss"}),
    "unknown metric": merged(select={"metric": "loss"}),
    "no limit": merged(budget={}),
    "no seed": merged(seeds=0),
    "same seed": merged(seeds=[1, 1]),
    "fraction": merged(resources={"max_failed_fraction": 1.5}),
    "unknown resource": merged(resources={"cpus": 1}),
    "unknown tracker": merged(tracker="tensorbord"),
    "no tracker": merged(tracker={}),
    "number as a project": merged(tracker={"wandb": 3}),
    "schedule without updates": merged(
        estimators={"E": {"estimator": "reinmax", "temperature": {"from": 2, "to": 1}}}
    ),
    "schedule of a count": merged(
        estimators={"E": {"estimator": "reinmax", "samples": {"from": 2, "to": 1, "over": 9}}}
    ),
    "unknown override": merged(overrides=[{"lerning_rate": 0.1}]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_sweep_file_of_ours_is_valid(validator, name):
    validator.validate(YAML(typ="safe").load(FILES[name]))


def test_there_are_files_and_pages_to_look_at():
    assert sum(name.startswith("examples") for name in FILES) >= 18
    assert sum(not name.startswith("examples") for name in FILES) >= 3


@pytest.mark.parametrize("name", GOOD)
def test_what_the_reader_takes_is_valid(validator, name):
    assert read_spec(GOOD[name]).arms
    validator.validate(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_the_reader_refuses_is_not_valid(validator, name):
    with pytest.raises(SpecError):
        read_spec(BAD[name])
    assert not validator.is_valid(BAD[name])


@pytest.mark.parametrize("name", OF_OWN_TASKS)
def test_a_task_that_the_registry_lacks_may_have_any_settings_and_metrics(validator, name):
    validator.validate(OF_OWN_TASKS[name])


@pytest.mark.parametrize(
    "task", [{"task": 3}, {"task": ""}, {"speed": 1}, {"task": "polynomial", "speed": 1}], ids=str
)
def test_a_task_of_the_user_does_not_excuse_mistakes_in_others(validator, task):
    assert not validator.is_valid({**OWN, "tasks": {**OWN["tasks"], "b": task}})


@pytest.mark.parametrize(
    "sections", [{"methods": {}}, {"methods": {"slow": 3}}, {"methods": {"slow": {"tasks": 3}}}]
)
def test_methods_are_settings_by_label(validator, sections):
    assert not validator.is_valid({**OWN, **sections})


def test_every_key_and_name_is_in_the_schema(validator):
    made = validator.schema
    assert list(made["properties"]) == list(keys.TOP)
    assert all(section["description"] for section in made["properties"].values())
    text = json.dumps(made)
    of_families = [n for family in registry.families() for n in registry.estimator_names(family)]
    names = [*registry.task_names(), *of_families, *SAMPLERS, *PRUNERS]
    names += TRACKERS
    assert [name for name in names if f'"{name}"' not in text] == []


@pytest.mark.parametrize("task", registry.task_names())
def test_an_entry_describes_every_setting_of_its_task(validator, task):
    definitions = validator.schema["$defs"]
    properties = definitions[f"task-{task}"]["properties"]
    for setting in registry.task_settings(task).values():
        described = properties[setting.name]
        if described["$ref"] == f"#/$defs/{setting.key}":
            described = definitions[setting.key]
        assert described["description"] == setting.meaning
        assert read_default(described) == setting.default


@pytest.mark.parametrize("name", registry.estimator_names("layered"))
def test_an_entry_has_the_settings_of_every_family_with_that_name(validator, name):
    properties = validator.schema["$defs"][f"estimator-{name}"]["properties"]
    families = registry.families_of(name)
    for family in families:
        assert registry.estimator_settings(family, name).keys() <= {
            f"estimator.{setting}" for setting in properties
        }
        summary = registry.summary(registry.estimator_class(family, name))
        assert summary in properties["estimator"]["description"]
        if len(families) == 1:
            for setting in registry.estimator_settings(family, name).values():
                assert read_default(properties[setting.name]) == setting.default


def read_default(described):
    default = described["default"]
    return tuple(default) if isinstance(default, list) else default


def test_the_command_prints_the_schema_for_a_file(validator):
    result = CliRunner().invoke(cli, ["schema"], standalone_mode=False)
    assert result.exception is None, result.exception
    assert json.loads(result.stdout) == validator.schema


def test_a_plugin_is_in_the_schema(validator):
    bowl = {"a": {"task": "bowl", "x": {"low": -1.0, "high": 1.0, "num": 3}}}
    assert validator.is_valid(merged(tasks=bowl))
    assert not validator.is_valid(merged(tasks={"a": {"task": "bowl", "z": 1}}))


@pytest.mark.parametrize("form", [{"npz": "a.npz"}, "npz:0123", ["digits", {"npz": "a.npz"}]])
def test_a_data_set_may_be_a_file(validator, form):
    assert validator.is_valid(merged(tasks={"a": {"task": "categorical_vae", "dataset": form}}))


@pytest.mark.parametrize("form", [{"npy": "a.npy"}, {"npz": 3}, "digit", ["digits", {"np": "a"}]])
def test_no_other_form_is_a_data_set(validator, form):
    assert not validator.is_valid(merged(tasks={"a": {"task": "categorical_vae", "dataset": form}}))
