"""Metrics that the settings of a sweep exclude are refused before anything starts."""

import pytest

import raysweep
from raysweep.code.objects import added
from raysweep.errors import SpecError
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.reader import read_spec

VAE = {"task": "categorical_vae", "dataset": "digits", "categories": 2, "latents": 3, "steps": 200}
VALID = {**VAE, "validation_examples": 50}
QUAD = {"task": "polynomial", "latents": 4, "steps": 10, "report_every": 2}


def spec_of(*tasks, **keys):
    return read_spec(
        {
            "name": "metrics",
            "tasks": {f"t{index}": task for index, task in enumerate(tasks)},
            "estimators": {
                "ST": {"estimator": "straight_through"},
                "RM": {"estimator": "reinmax"},
            },
            "seeds": 2,
            **keys,
        }
    )


def refused(*tasks, **keys):
    with pytest.raises(SpecError) as caught:
        spec_of(*tasks, **keys)
    (line,) = caught.value.problems
    return line


def select(*names):
    return {"metric": list(names)}


def test_a_metric_without_value_is_refused_with_the_setting_that_gives_one():
    assert refused(VALID, VAE, select=select("valid_neg_elbo")).endswith(
        "valid_neg_elbo has no value for the task 't1' with validation_examples: 0; "
        "set validation_examples, or name another metric"
    )


def test_a_second_metric_without_value_is_refused():
    line = refused(VAE, select=select("train_loss", "gradient_variance"))
    assert "gradient_variance: false; set gradient_variance: true, or" in line


def test_a_metric_that_some_choices_exclude_is_refused():
    task = {**VAE, "validation_examples": [50, 0]}
    assert "with validation_examples: 0" in refused(task, select=select("valid_neg_elbo"))


def test_a_metric_that_needs_a_number_is_refused_with_that_number():
    task = {"task": "gradient_quality", "latents": 2, "evaluation_samples": 20}
    line = refused(task, select=select("cosine_100"))
    assert "with evaluation_samples: 20; set evaluation_samples to at least 100" in line


def test_a_metric_with_a_value_everywhere_is_taken():
    assert spec_of(VALID, select=select("valid_neg_elbo")).select.metric == "valid_neg_elbo"


def test_a_metric_that_a_task_lacks_is_refused_with_the_task_and_its_metrics():
    assert refused(VAE, QUAD, QUAD, select=select("test_neg_elbo")).endswith(
        "expected a metric of every task, got 'test_neg_elbo', which 't1', 't2' do not have: "
        "polynomial has expected_loss, final_expected_loss, train_loss; every task has train_loss"
    )


def test_an_early_stopping_metric_that_a_task_lacks_is_refused_with_the_task():
    stopping = {"pruner": "median", "metric": "expected_loss"}
    line = refused(VAE, QUAD, early_stopping=stopping)
    assert "got 'expected_loss', which 't0' does not have: categorical_vae has active" in line


def test_of_many_tasks_that_lack_a_metric_some_are_named():
    line = refused(VAE, *[QUAD] * 5, select=select("test_neg_elbo"))
    assert "'t1', 't2', 't3' and 2 more do not have: polynomial has" in line
    assert line.count("polynomial has") == 1


def test_an_early_stopping_metric_without_value_is_refused():
    stopping = {"pruner": "median", "metric": "gradient_variance"}
    assert "gradient_variance has no value" in refused(VAE, early_stopping=stopping)


@pytest.mark.parametrize("keys", [{"select": select("test_neg_elbo")}, {}])
def test_an_early_stopping_metric_that_is_known_at_the_end_only_is_refused(keys):
    stopping = {"pruner": "median"} if keys else {"pruner": "median", "metric": "test_neg_elbo"}
    assert refused(VAE, early_stopping=stopping, **keys).endswith(
        "expected a metric that is known before the end of a run in early_stopping, got "
        "test_neg_elbo, which the task 't0' measures only at the end; set evaluate_every, or name "
        "another there, such as metric: train_loss"
    )


def test_an_early_stopping_metric_that_is_never_known_earlier_is_refused():
    stopping = {"pruner": "asha", "metric": "final_expected_loss"}
    line = refused(QUAD, early_stopping=stopping)
    assert "measures only at the end; name another there" in line


def test_evaluations_during_training_let_early_stopping_use_their_metrics():
    task = {**VAE, "evaluate_every": 100}
    stopping = {"pruner": "asha", "metric": "test_neg_elbo", "grace": 100}
    assert spec_of(task, early_stopping=stopping).early_stopping.metric == "test_neg_elbo"


def test_racing_may_use_a_metric_of_the_end():
    spec = spec_of(QUAD, early_stopping="racing", seeds=4, select=select("final_expected_loss"))
    assert spec.early_stopping.metric == "final_expected_loss"


def test_an_impossible_metric_is_reported_beside_other_mistakes():
    estimators = {"ST": {"estimator": "straight_through", "temprature": 1}}
    with pytest.raises(SpecError) as caught:
        spec_of(VAE, estimators=estimators, select=select("valid_neg_elbo"))
    assert len(caught.value.problems) == 2


def test_what_metrics_need_survives_plain_data():
    spec = spec_of(VAE)
    again = Spec.from_json(spec.to_json())
    assert again.requirements["valid_neg_elbo"] == {"validation_examples": 1}


@pytest.mark.parametrize("tasks", [(VAE, QUAD), (QUAD, VAE)])
def test_a_metric_with_other_units_in_other_tasks_has_none(tasks):
    assert spec_of(*tasks).metrics["train_loss"]["unit"] == ""


def test_a_metric_with_one_unit_has_it_whatever_the_order():
    spec = spec_of(VAE, QUAD)
    assert spec.metrics["train_neg_elbo"]["unit"] == "nats"


def test_meanings_of_a_metric_in_several_tasks_are_joined():
    meaning = spec_of(QUAD, VAE).metrics["train_loss"]["meaning"]
    assert meaning == (
        "objective at the samples drawn in training; or loss that training minimises: "
        "train_neg_elbo, or the bound of samples, as with vimco"
    )


@pytest.mark.parametrize("option", ["select", "report"])
def test_a_table_of_a_metric_without_value_is_refused(tmp_path, option):
    task = {**VAE, "steps": 2, "hidden": {"value": [8]}, "batch_size": 8, "evaluation_examples": 4}
    task |= {"gradient_variance": True, "bound_samples": 1}
    spec = {"name": "refused", "tasks": {"t": task}, "seeds": 1}
    spec["estimators"] = {"ST": {"estimator": "straight_through"}}
    results = raysweep.run(spec, store=tmp_path, inline=True)
    assert results.table(report="gradient_variance").cells[0].mean is not None
    with pytest.raises(SpecError, match=rf"{option}: valid_neg_elbo has no value .*; set valid"):
        results.table(**{option: "valid_neg_elbo"})


def test_a_table_of_a_metric_that_a_task_lacks_names_the_metrics_of_that_task(tmp_path):
    spec = {
        "name": "lacking",
        "tasks": {"toy": {"task": "toy", "steps": 4}, "quad": {**QUAD, "steps": 2}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
    }
    results = raysweep.run(spec, store=tmp_path, inline=True)
    line = "no value: the runs on toy have no expected_loss, but distance, train_loss"
    for shown in (
        results.table(report="expected_loss"),
        results.statistics(report="expected_loss"),
    ):
        assert line in repr(shown).splitlines()
    assert "no value" not in repr(results.table())


@raysweep.task(metrics={"height": "max"})
def climb(run, *, steps: int = 5) -> None:
    for step in run.steps(steps):
        run.report(height=step)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {},
            "the key 'select' is missing, and not every task has train_loss; add "
            "select: {metric: NAME} with one of height",
        ),
        ({"select": {"metric": "high"}}, "expected a metric of every task, got 'high'"),
        (
            {"early_stopping": {"pruner": "asha"}},
            "the key 'select' is missing, and not every task has train_loss",
        ),
    ],
    ids=["no metric", "unknown metric", "no metric for early stopping"],
)
def test_a_sweep_that_selects_by_no_metric_of_its_tasks_is_refused(keys, line):
    about = {"name": "climbs", "tasks": {"t": {"task": "climb"}}, "methods": {"A": {}}, "seeds": 1}
    with added([climb]), pytest.raises(SpecError) as caught:
        read_spec({**about, **keys})
    assert line in " ".join(caught.value.problems)
