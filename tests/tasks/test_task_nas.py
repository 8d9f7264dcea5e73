"""Search of NATS-Bench's cells with a supernet."""

import io
import math

import pytest
import torch

import raysweep
from raysweep import estimators, tasks
from raysweep.tasks import data
from raysweep.tasks.nas.cells import by_code
from raysweep.tasks.nas.images import SearchImages
from raysweep.tasks.nas.search import Rates
from raysweep.tasks.nas.settings import NasSettings
from raysweep.tasks.nas.space import OPERATIONS
from raysweep.tasks.training import schedules

CPU = torch.device("cpu")
TASK = tasks.get("nas")


@pytest.fixture
def settings(small):
    return lambda **changes: TASK.settings(**{**small["nas"], **changes})


def one_hot(*codes):
    return torch.nn.functional.one_hot(torch.tensor(codes), len(OPERATIONS)).double()


def test_rates_of_the_weights_fall_by_half_a_cosine(settings):
    replica = tasks.Replica("run", 0, {"lr": 0.5})
    rates = Rates(settings(lr=0.1, final_lr=0.02, steps=10), [replica])
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer := torch.optim.SGD([torch.zeros(1)], lr=0.5), T_max=10, eta_min=0.02
    )
    for step in range(10):
        assert 0.5 * rates.at(step).item() == pytest.approx(cosine.get_last_lr()[0])
        optimizer.step()
        cosine.step()


def test_a_temperature_changes_linearly_to_its_last_one(train, settings):
    method = estimators.get("st_gumbel_softmax", temperature=10.0)
    training = train("nas", [0, 1], estimator=method, steps=5, final_temperature=0.1)
    seen = []
    for _ in range(5):
        training.advance(1)
        seen.append(method.temperature.tolist())
    assert torch.tensor(seen)[:, 1].tolist() == pytest.approx([10, 7.525, 5.05, 2.575, 0.1])


def test_a_temperature_stays_where_no_last_one_is_set(train):
    method = estimators.get("st_gumbel_softmax", temperature=10.0)
    train("nas", [0], estimator=method).advance(2)
    assert method.temperature.tolist() == [10.0]


def test_a_run_with_a_schedule_is_restored_bit_for_bit(train):
    def start():
        method = estimators.get("st_gumbel_softmax", temperature=5.0)
        return train("nas", [0, 1], estimator=method, final_temperature=0.5, steps=20)

    through, restored, file = start(), start(), io.BytesIO()
    through.advance(4)
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for training in (through, restored):
        training.advance(4)
    ours, theirs = through.evaluate(), restored.evaluate()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("neighbour", [0.1, None])
@pytest.mark.parametrize("final_temperature", [0.1, None])
def test_a_run_that_outlived_its_neighbour_is_restored_alone_bit_for_bit(
    train, final_temperature, neighbour
):
    """The engine builds a pack anew of the runs that are left, with a number if it is the same."""
    settings = {"architecture_lr": 0.05, "steps": 60}
    own = [{"final_temperature": final_temperature}, {"final_temperature": neighbour}]

    def start(temperature, count):
        method = estimators.get("st_gumbel_softmax", temperature=temperature)
        return train("nas", range(count), own[:count], method, **settings)

    through, file = start(torch.tensor([0.53, 5.0]), 2), io.BytesIO()
    through.advance(5)
    through.select(torch.tensor([0]))
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored = start(0.53, 1)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(40):
        ours, theirs = through.advance(1), restored.advance(1)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_kept_runs_keep_their_schedules(train):
    own = [{"final_temperature": 0.5}, {"final_temperature": 2.0}, {"final_lr": 1e-4}]

    def start():
        method = estimators.get("st_gumbel_softmax", temperature=5.0)
        return train("nas", [0, 1, 2], own, method, dtype="float64", steps=20)

    whole, cut = start(), start()
    for training in (whole, cut):
        training.advance(3)
    cut.select(torch.tensor([2, 1]))
    cut.advance(5)
    kept = cut.evaluate()
    whole.advance(5)
    for name, value in whole.evaluate().items():
        torch.testing.assert_close(kept[name], value[[2, 1]])


@pytest.mark.parametrize(("still", "moving"), [("lr", "theta"), ("architecture_lr", "net.stem")])
def test_each_kind_of_update_changes_its_own_parameters(train, still, moving):
    training = train("nas", [0], **{still: 1e-30, "final_lr": 1e-30})
    before = {name: value.clone() for name, value in training.state_dict()["model"].items()}
    training.advance(3)
    after = training.state_dict()["model"]
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    weights = {name for name in before if name.startswith("net.")}
    assert moving in moved
    assert not moved & ({"theta"} if still == "architecture_lr" else weights)


def test_the_gradient_of_what_was_not_sampled_moves_the_logits_alone(train):
    kinds = {kind: train("nas", [0], unselected=kind) for kind in ("zero", "evaluated")}
    first = {kind: training.advance(1) for kind, training in kinds.items()}
    for name in ("train_loss", "architecture_loss"):
        torch.testing.assert_close(first["zero"][name], first["evaluated"][name])
    for training in kinds.values():
        training.advance(3)
    zero, evaluated = (training.model.theta for training in kinds.values())
    assert not torch.allclose(zero, evaluated, rtol=0, atol=1e-5)


def test_both_kinds_of_updates_have_images_of_their_own(settings):
    loaded = SearchImages(settings(batch_size=100), [0], CPU)
    weights, architecture = loaded.for_weights(0), loaded.for_architecture(0)
    flat = [set(map(tuple, batch.x[0].flatten(1).tolist())) for batch in (weights, architecture)]
    assert len(flat[1]) == 100
    assert not flat[0] & flat[1]


def test_test_images_for_the_architecture_leave_all_training_images_to_the_weights(settings):
    chosen = settings(architecture_set="test", architecture_examples=50, batch_size=50)
    test = data.load("digits").test[:50]
    loaded = SearchImages(chosen, [0], CPU)
    assert loaded.steps_per_epoch == data.get("digits").train // 50
    x, labels = loaded.for_architecture(0)
    rows = x[0].flatten(1)
    order = data.load_labels("digits").test[:50]
    assert sorted(labels[0].tolist()) == sorted(order.tolist())
    unscaled = (rows - rows.mean()) / rows.std()
    expected = (test - test.mean()) / test.std()
    assert sorted(unscaled.sum(1).tolist()) == pytest.approx(
        sorted(expected.sum(1).tolist()), abs=1e-3
    )


def test_images_have_the_mean_0_and_the_deviation_1_of_the_weights_images(settings):
    loaded = SearchImages(settings(batch_size=1), [0], CPU)
    every = torch.cat([loaded.for_weights(step).x for step in range(loaded.steps_per_epoch)])
    assert every.mean().item() == pytest.approx(0, abs=1e-5)
    assert every.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


def test_the_most_probable_cell_is_looked_up(train):
    training = train("nas", [0, 1])
    codes = [(3, 3, 1, 3, 4, 3), (0, 1, 2, 3, 4, 0)]
    training.model.theta.data = one_hot(*codes).float()
    metrics = training.evaluate()
    assert metrics["final_cell"].tolist() == [331343, 12340]
    for name, column in by_code("cifar10", full=False).items():
        rows = [sum(op * 5 ** (5 - edge) for edge, op in enumerate(code)) for code in codes]
        assert metrics[f"final_accuracy_{name}"].tolist() == column[rows].tolist()
        regret = (column.max() - column[rows]).tolist()
        assert metrics[f"final_regret_{name}"].tolist() == regret


def test_a_diverged_run_has_no_result_and_its_neighbour_has(train):
    training = train("nas", [0, 1])
    training.model.theta.data[0] = math.nan
    for metrics in (training.advance(1), training.evaluate()):
        assert {name for name, value in metrics.items() if not value[0].isnan()} == set()
        assert {name for name, value in metrics.items() if value[1].isnan()} == set()


@pytest.mark.parametrize("name", estimators.names())
def test_estimators_without_samples_that_carry_the_gradient_cannot_search(settings, name):
    reason = TASK.check(settings(), estimators.get(name))
    if hasattr(estimators.get(name), "sample"):
        assert reason is None
    else:
        assert reason.startswith("nas needs samples that carry the gradient")


def test_several_cells_per_update_are_refused(settings):
    reason = TASK.check(settings(), estimators.get("reinmax", samples=2))
    assert reason == "nas draws one cell per update and needs samples 1, got samples 2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "final_temperature with reinmax: temperature must be finite and >= 1, got 0.1"),
        ({"baseline": "uniform"}, "final_temperature with reinmax: the uniform"),
    ],
)
def test_a_last_temperature_that_the_estimator_cannot_have_is_refused(settings, options, message):
    method = estimators.get("reinmax", **options)
    with pytest.raises(ValueError, match=message):
        schedules.check(settings(final_temperature=0.1), method)
    assert method.temperature == 1


def test_the_uniform_baseline_cannot_leave_temperature_1(settings):
    method = estimators.get("reinmax", baseline="uniform")
    with pytest.raises(ValueError, match="the uniform baseline needs temperature 1, got 2"):
        schedules.check(settings(final_temperature=2.0), method)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "points"}, "dataset must be images with labels, got points"),
        ({"benchmark": None}, "benchmark must be set to cifar10, cifar100 or imagenet16"),
        ({"dataset": "mnist", "batch_size": 200}, "batch_size must be at most 100, the images"),
        (
            {"architecture_examples": 2000},
            "architecture_examples must be in 1..1499, the training images but one of digits",
        ),
        ({"architecture_examples": 0}, "architecture_examples must be at least 1, got 0"),
        (
            {"architecture_set": "test", "architecture_examples": 2000},
            "architecture_examples must be in 1..297, the test images of digits, got 2000",
        ),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"final_lr": 0.0}, "final_lr must be positive, got 0"),
        ({"final_temperature": -1.0}, "final_temperature must be positive, got -1"),
        ({"architecture_weight_decay": -1.0}, "architecture_weight_decay must be >= 0, got -1"),
        ({"architecture_beta1": 1.0}, r"architecture_beta1 must be in \[0, 1\), got 1"),
    ],
)
def test_values_that_a_search_cannot_have_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


@pytest.fixture
def tiny(monkeypatch):
    """A data set of images that are made up, of the sides asked for."""

    def make(height, width, **changes):
        images = torch.linspace(0, 1, 20 * height * width).view(20, -1)
        parts = {"read": (images[:10], images[10:]), "labels": (torch.arange(10) % 2,) * 2}
        described = {"features": height * width, "white": 1, "shape": (1, height, width)}
        source = data.Source(
            "tiny",
            train=10,
            test=10,
            classes=2,
            fetch=lambda root: None,
            **{name: (lambda root, part=part: part) for name, part in parts.items()},
            **{**described, **changes},
        )
        monkeypatch.setattr(data, "SOURCES", {"tiny": source})
        return {"dataset": "tiny", "architecture_examples": 5, "evaluation_examples": 5}

    return make


@pytest.mark.parametrize("sides", [(6, 8), (8, 9), (2, 2)])
def test_images_that_cannot_be_halved_twice_are_refused(settings, tiny, sides):
    with pytest.raises(ValueError, match="sides that 4 divides, got tiny with"):
        settings(**tiny(*sides))


@pytest.mark.parametrize("name", ["batch_size", "evaluation_examples"])
def test_a_batch_of_one_value_is_refused_as_it_cannot_be_normalised(settings, tiny, name):
    changes = tiny(4, 4)
    with pytest.raises(ValueError, match=f"{name} must be at least 2 for images of 4 x 4"):
        settings(**{**changes, name: 1})


def test_small_images_and_batches_of_one_image_are_trained_on(train, tiny):
    for sides, size in (((4, 4), 2), ((4, 8), 1)):
        training = train("nas", [0], **{**tiny(*sides), "batch_size": size})
        metrics = {**training.advance(2), **training.evaluate()}
        assert all(value.isfinite().all() for value in metrics.values())


def test_as_many_images_for_the_architecture_as_a_data_set_has_for_validation(settings, tiny):
    changes = {**tiny(4, 4, valid=3), "batch_size": 2}
    assert settings(**{**changes, "architecture_examples": 3}).weight_examples == 10
    with pytest.raises(ValueError, match=r"in 1\.\.3, the validation images of tiny, got 5"):
        settings(**changes)


def test_defaults_are_those_of_the_published_search():
    published = NasSettings()
    assert published.weight_examples == published.architecture_examples == 25_000
    assert published.steps == 100 * (25_000 // 64)
    assert published.looked_up == "cifar10"


def test_losses_fall_and_edges_decide(train):
    training = train(
        "nas",
        [0, 1],
        estimator=estimators.get("reinmax"),
        channels=4,
        batch_size=32,
        architecture_lr=0.03,
        lr=0.05,
    )
    first = training.advance(20)
    training.advance(80)
    last = training.advance(20)
    for name in ("train_loss", "architecture_loss", "entropy"):
        assert (last[name] < first[name]).all(), name


def test_the_exact_images_of_cifar_10_are_searched_end_to_end(real_accuracies, tmp_path):
    if not (real_accuracies / "CIFAR10" / "cifar10_exact_subset.npz").is_file():
        pytest.skip(f"no CIFAR10/cifar10_exact_subset.npz in {real_accuracies}")
    content = {
        "name": "cells",
        "tasks": {
            "cells": {
                "task": "nas",
                "dataset": "cifar10_subset",
                "architecture_examples": 1000,
                "channels": 4,
                "cells": 1,
                "evaluation_examples": 100,
                "final_temperature": 0.1,
            }
        },
        "estimators": {"STGS": {"estimator": "st_gumbel_softmax", "temperature": 10.0}},
        "training": {"steps": 20, "batch_size": 32, "report_every": 10},
        "seeds": 1,
        "search": "grid",
        "select": {"metric": "final_architecture_accuracy", "mode": "max"},
    }
    results = raysweep.run(content, store=tmp_path, inline=True, quiet=True)
    [run] = results.runs().to_pylist()
    assert run["status"] == "done"
    metrics = {key: value for key, value in run.items() if key.startswith("metric.")}
    found = int(metrics["metric.final_cell"])
    code = tuple(map(int, f"{found:06d}"))
    for name, column in by_code("cifar10", full=False).items():
        index = sum(operation * 5 ** (5 - edge) for edge, operation in enumerate(code))
        assert metrics[f"metric.final_accuracy_{name}"] == column[index].item()
    curves = results.curves().to_pylist()
    assert [row["step"] for row in curves] == [10, 20]
    assert all(0 < row["architecture_loss"] < 3 for row in curves)
