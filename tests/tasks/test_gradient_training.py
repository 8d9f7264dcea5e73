import io

import pytest
import torch

from raysweep import estimators, tasks

PACK = 20
OPTIMIZERS = {
    "adam": {"optimizer": "adam"},
    "radam": {"optimizer": "radam", "weight_decay": 1e-3},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
}
RATES = [{"lr": 1e-2 / (1 + replica // 3)} for replica in range(PACK)]


# Tasks that draw one tree, or one cell, need an estimator whose samples are no further ones.
ONE_SAMPLE = {"listops", "nas"}
TASKS = [name for name in tasks.names() if tasks.get(name).family == "categorical"]


@pytest.fixture(params=TASKS)
def name(request):
    return request.param


@pytest.fixture(params=OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def rule(request):
    return request.param


def temperatures():
    return torch.linspace(0.8, 1.4, PACK, dtype=torch.float64)


# Estimators of each family, one with a setting per replica, and one with samples.
WITH_TEMPERATURE = {"categorical": "straight_through", "layered": "concrete"}
WITH_SAMPLES = {"categorical": "reinforce_loo", "layered": "reinforce"}


def method_of(name, methods, **settings):
    """An estimator of the family of a task, which can train it."""
    family = tasks.get(name).family
    method = methods[family]
    if name in ONE_SAMPLE and methods is WITH_SAMPLES:
        method = "gumbel_rao"
    return estimators.get(method, family=family, **settings)


def parameters(training):
    return {name: value.clone() for name, value in training.state_dict()["model"].items()}


def saved(training):
    """The state as a checkpoint would give it back."""
    file = io.BytesIO()
    torch.save(training.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [("float64", 50, 1e-9), ("float32", 5, 1e-4)],
    ids=["float64", "float32"],
)
def test_a_run_is_the_same_alone_and_in_a_pack(train, name, rule, dtype, steps, tolerance):
    settings = {**rule, "dtype": dtype}
    estimator = method_of(name, WITH_TEMPERATURE, temperature=temperatures())
    pack = train(name, range(PACK), RATES, estimator, **settings)
    metrics = {**pack.advance(steps), **pack.evaluate()}
    for replica in (0, 7, PACK - 1):
        own = temperatures()[[replica]]
        estimator = method_of(name, WITH_TEMPERATURE, temperature=own)
        alone = train(name, [replica], [RATES[replica]], estimator, **settings)
        for key, value in {**alone.advance(steps), **alone.evaluate()}.items():
            assert abs(value[0] - metrics[key][replica]) < tolerance * max(1, abs(value[0]))
        for key, value in parameters(alone).items():
            assert (value[0] - parameters(pack)[key][replica]).abs().max() < tolerance


@pytest.mark.parametrize("methods", [WITH_TEMPERATURE, WITH_SAMPLES], ids=["relaxed", "sampled"])
def test_a_replica_that_is_not_a_number_leaves_the_others_alone(train, name, rule, methods):
    healthy, broken = (
        train(name, range(4), estimator=method_of(name, methods, samples=2), **rule)
        for _ in range(2)
    )
    healthy.advance(2)
    broken.advance(2)
    for value in broken.state_dict()["model"].values():
        if value.is_floating_point():
            value[1] = torch.nan
    expected = {**healthy.advance(10), **healthy.evaluate()}
    found = {**broken.advance(10), **broken.evaluate()}
    rest = [0, 2, 3]
    for key, value in expected.items():
        assert not found[key][1].isfinite()
        assert torch.equal(found[key][rest], value[rest])
    for key, value in parameters(healthy).items():
        assert torch.equal(parameters(broken)[key][rest], value[rest])


def test_a_restored_training_goes_on_bit_for_bit(train, name, rule):
    through = train(name, range(3), RATES[:3], **rule)
    through.advance(13)
    restored = train(name, range(3), RATES[:3], **rule)
    restored.load_state_dict(saved(through))
    assert restored.step == 13
    expected, found = through.advance(17), restored.advance(17)
    for key, value in expected.items():
        assert torch.equal(found[key], value)
    for key, value in through.evaluate().items():
        assert torch.equal(restored.evaluate()[key], value)
    for key, value in parameters(through).items():
        assert torch.equal(parameters(restored)[key], value)


@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True, False]), torch.tensor([0, 2])], ids=["mask", "index"]
)
def test_kept_replicas_go_on_as_if_nothing_happened(train, name, rule, keep):
    settings = {**rule, "dtype": "float64"}
    whole = train(name, range(4), RATES[:4], **settings)
    cut = train(name, range(4), RATES[:4], **settings)
    whole.advance(7)
    cut.advance(7)
    cut.select(keep)
    expected = {**whole.advance(20), **whole.evaluate()}
    for key, value in {**cut.advance(20), **cut.evaluate()}.items():
        torch.testing.assert_close(value, expected[key][keep], rtol=1e-9, atol=1e-9)


def test_a_training_is_restored_after_a_selection(train, name):
    cut = train(name, range(4))
    cut.advance(3)
    cut.select(torch.tensor([1, 3]))
    restored = train(name, [1, 3])
    restored.load_state_dict(saved(cut))
    assert torch.equal(restored.advance(9)["train_loss"], cut.advance(9)["train_loss"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_metrics_are_means_over_the_steps_in_float64(train, name, dtype):
    at_once, one_by_one = (train(name, [0, 1], dtype=dtype) for _ in range(2))
    found = at_once.advance(6)
    each = [one_by_one.advance(1) for _ in range(6)]
    for key, value in found.items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, sum(one[key] for one in each) / 6, rtol=1e-12, atol=0)


def test_evaluation_changes_nothing(train, name):
    asked, silent = train(name, [0, 1]), train(name, [0, 1])
    for training in (asked, silent):
        training.advance(4)
    first, second = asked.evaluate(), asked.evaluate()
    for key, value in first.items():
        assert torch.equal(second[key], value)
    assert torch.equal(asked.advance(5)["train_loss"], silent.advance(5)["train_loss"])


def test_training_leaves_the_global_generator_alone(train, name):
    before = torch.get_rng_state()
    training = train(name, [0, 1])
    training.advance(3)
    training.evaluate()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_declared_metric_is_reported_and_no_other(train, name):
    wanted = {
        "valid_neg_bound": {"validation_examples": 100},
        "gradient_variance": {"gradient_variance": True},
        "cosine_1000": {"evaluation_samples": 1000},
        "train_accuracy_10": {"evaluate_training": True},
        "cosine_layer_3": {"layers": 3},
        "final_accuracy_val_200": {"full": True},
    }
    declared = tasks.get(name).metrics
    asked = [settings for metric, settings in wanted.items() if metric in declared]
    settings = {key: each[key] for each in asked for key in each}
    method = method_of(name, WITH_TEMPERATURE)  # those of relaxed networks too
    training = train(name, [0, 1], estimator=method, **settings)
    found = {**training.advance(1), **training.evaluate()}
    assert set(found) == set(tasks.get(name).metrics)
    for value in found.values():
        assert value.shape == (2,)
        assert not value.requires_grad


def test_bytes_are_those_of_the_state_and_grow_with_evaluations(train, small, name, rule):
    training = train(name, [0], **rule)
    state = training.state_dict()
    rules = [rule["moments"].values() for rule in state["optimizer"].values()]
    moments = [moment for kinds in rules for kind in kinds for moment in kind]
    held = sum(value.nbytes for value in [*state["model"].values(), *moments])
    settings = tasks.get(name).settings(**{**small[name], **rule})
    needs = [
        tasks.get(name).replica_bytes(settings, method_of(name, WITH_SAMPLES, samples=samples))
        for samples in (2, 3, 4)
    ]
    assert held < needs[0]
    if name in ONE_SAMPLE:
        assert needs[0] == needs[1] == needs[2]
        return
    assert needs[0] < needs[1]
    assert needs[2] - needs[1] == needs[1] - needs[0]


def test_window_is_never_longer_than_the_run(train, name):
    assert train(name, [0], steps=3, window=7).window == 3
    assert train(name, [0], window=7).window == 7


def test_a_step_count_below_one_is_refused(train, name):
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        train(name, [0]).advance(0)


def test_logits_are_not_checked_at_every_step(train, name):
    """That would wait for the device."""
    method = method_of(name, WITH_TEMPERATURE)
    train(name, [0], estimator=method)
    assert not method.validate
