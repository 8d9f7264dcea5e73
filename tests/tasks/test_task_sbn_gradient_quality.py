"""Gradients of layered estimators beside the exact ones."""

import io
import itertools

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense, Head
from raysweep.tasks.base import Replica
from raysweep.tasks.data.points import points
from raysweep.tasks.sbn.gradient_quality import (
    SbnGradientQuality,
    SbnGradientQualitySettings,
)
from raysweep.tasks.sbn.quality import (
    LayerQuality,
    Network,
    estimates,
    exact_gradients,
    expected_losses,
    measures,
)
from raysweep.testing.tasks import check_task

TASK = SbnGradientQuality()
SMALL = {"units": 3, "layers": 2, "draws": 60, "steps": 6, "report_every": 2}
CPU = torch.device("cpu")


def settings(**more):
    return SbnGradientQualitySettings(**{**SMALL, **more})


def method(name, **more):
    return estimators.get(name, family="layered", **more)


def training(estimator, seeds=(0,), counts=None, **more):
    counts = counts or [1] * len(seeds)
    replicas = [
        Replica(f"run {seed} {count}", seed, {"estimates": count})
        for seed, count in zip(seeds, counts, strict=True)
    ]
    return TASK.start(settings(**more), replicas, estimator, CPU)


@pytest.fixture
def network():
    """Two replicas of a 2-3-2 network with four examples and a head of their own."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    layers = [Dense(normal(2, 2, 3), normal(2, 3)), Dense(normal(2, 3, 2), normal(2, 2))]
    weight, x = normal(2, 1, 2), normal(2, 4, 2)

    def objective(index, dtype):
        head = weight[index].to(dtype)
        return Head(lambda state: torch.tanh((state * head).sum(-1)) ** 2 + state[..., 0])

    return Network(layers, x, objective)


def brute_force(network, replica):
    """The expected losses of a replica's examples, over all joint states."""
    layers = [(layer.weight[replica], layer.bias[replica]) for layer in network.layers]
    head = network.objective(torch.tensor([replica]), torch.float64)
    total = 0.0
    for signs in itertools.product((-1.0, 1.0), repeat=5):
        first, second = torch.tensor(signs[:3]).double(), torch.tensor(signs[3:]).double()
        a = network.x[replica] @ layers[0][0] + layers[0][1]
        b = first @ layers[1][0] + layers[1][1]
        p = torch.sigmoid(first * a).prod(-1) * torch.sigmoid(second * b).prod()
        total = total + p * head.function(second.expand(1, 1, 1, 2))[0, 0, 0]
    return total


def test_expected_losses_and_gradients_are_those_of_all_joint_states(network):
    losses, gradients = expected_losses(network), exact_gradients(network)
    for replica in range(2):
        expected = brute_force(network, replica)
        torch.testing.assert_close(losses[replica], expected.detach())
        parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
        exact = torch.autograd.grad(expected.mean(), parameters)
        for layer, gradient in enumerate(gradients):
            pair = [exact[2 * layer + part][replica].flatten() for part in (0, 1)]
            torch.testing.assert_close(gradient[replica], torch.cat(pair))


@pytest.mark.parametrize("name", ["psa", "arm", "muprop", "rebar", "nvil"])
def test_copies_are_estimates_of_the_same_estimator(network, name):
    estimator = method(name)
    estimator.build(2, 2, 2)
    estimator.to(torch.float64)
    before = {key: value.clone() for key, value in estimator.state_dict().items()}
    noise = Noise(seeds=[3, 4])
    noise.at(0)
    drawn = estimates(network, estimator, noise, 400)
    assert [one.shape for one in drawn] == [(400, 2, 9), (400, 2, 8)]
    assert all(torch.equal(before[key], value) for key, value in estimator.state_dict().items())
    if estimator.unbiased:
        for one, exact in zip(drawn, exact_gradients(network), strict=True):
            error = one.std(0) / 20
            assert ((one.mean(0) - exact).abs() / error.clamp(min=1e-12)).max() < 5.5


def test_a_replica_s_estimates_do_not_depend_on_the_others(network):
    drawn = []
    for rows in ([0, 1], [1]):
        index = torch.tensor(rows)
        layers = [Dense(layer.weight[index], layer.bias[index]) for layer in network.layers]
        part = Network(
            layers,
            network.x[index],
            lambda copies, dtype, index=index: network.objective(index[copies], dtype),
        )
        noise = Noise(seeds=[(3, 4)[row] for row in rows])
        noise.at(0)
        drawn.append(estimates(part, method("psa"), noise, 5))
    for together, alone in zip(*drawn, strict=True):
        torch.testing.assert_close(together[:, 1:], alone, rtol=1e-12, atol=1e-12)


def test_measures_are_those_of_groups_of_estimates():
    generator = torch.Generator().manual_seed(0)
    exact = torch.tensor([[1.0, 2.0], [0.5, -1.0]]).double()
    drawn = exact + 0.3 + torch.randn(60, 2, 2, generator=generator, dtype=torch.float64)
    quality = LayerQuality(exact, torch.tensor([1, 20]))
    for part in drawn.split(7):
        quality.add(part)
    measured = quality.metrics()
    mean, variance = drawn.mean(0), drawn.var(0).sum(-1)
    bias = (mean - exact).square().sum(-1) - variance / 60
    for replica, count in enumerate((1, 20)):
        norm = exact[replica].norm()
        rmse = (bias[replica] + variance[replica] / count).sqrt() / norm
        torch.testing.assert_close(measured["relative_rmse"][replica], rmse)
        means = drawn[:, replica].unflatten(0, (-1, count)).mean(1)
        cosines = torch.cosine_similarity(means, exact[replica], dim=-1)
        torch.testing.assert_close(measured["cosine"][replica], cosines.mean())
        torch.testing.assert_close(measured["cosine_low"][replica], cosines.quantile(0.15))
        torch.testing.assert_close(measured["cosine_high"][replica], cosines.quantile(0.85))


def test_the_exact_gradient_has_no_error():
    measured = training(method("exact")).evaluate()
    for layer in (1, 2):
        assert measured[f"relative_rmse_layer_{layer}"].max() < 1e-12
        assert measured[f"cosine_layer_{layer}"].min() > 1 - 1e-12


def test_all_methods_are_measured_at_the_same_parameters():
    losses = []
    for name in ("psa", "hard_st"):
        one = training(method(name))
        one.advance(6)
        losses.append(one.evaluate()["expected_loss"])
    assert torch.equal(*losses)


def test_replicas_of_one_seed_are_at_the_same_parameters_wherever_they_are_in_a_pack():
    """Trained in one pack, the last replica would have other samples than its twins by then."""
    seeds, counts = [0] * 4 + [1] * 4 + [2] * 4, [1, 2, 3, 4] * 3
    more = {"units": 5, "layers": 3, "draws": 4}
    together = training(method("straight_through"), seeds, counts, **more)
    alone = training(method("straight_through"), [2], [4], **more)
    train_loss, only = (one.advance(800)["train_loss"] for one in (together, alone))
    expected_loss = together.evaluate()["expected_loss"]
    for values in (train_loss, expected_loss):
        assert [len(set(part)) for part in values.view(3, 4).tolist()] == [1, 1, 1]
        assert len(set(values.tolist())) == 3
    assert train_loss[-1] == only[0]
    assert expected_loss[-1] == alone.evaluate()["expected_loss"][0]


def pack(lrs, seeds, **more):
    """A pack that follows another gradient than the measured one, with learning rates."""
    replicas = [
        Replica(f"run {row}", seed, {"lr": lr, "estimates": row + 1})
        for row, (lr, seed) in enumerate(zip(lrs, seeds, strict=True))
    ]
    return TASK.start(settings(evaluate_every=2, **more), replicas, method("rebar"), CPU)


@pytest.mark.parametrize("trained_by", ["reinforce", "exact"])
def test_a_seed_with_two_update_rules_is_two_networks(trained_by):
    lrs, seeds = [0.1, 0.03, 0.1, 0.03], [0, 0, 0, 1]
    together = pack(lrs, seeds, trained_by=trained_by)
    metrics = {**together.advance(6), **together.evaluate()}
    assert metrics["train_loss"][0] == metrics["train_loss"][2]
    assert len(set(metrics["expected_loss"].tolist())) == 3
    for row in range(4):
        alone = pack(lrs[row : row + 1], seeds[row : row + 1], trained_by=trained_by)
        single = {**alone.advance(6), **alone.evaluate()}
        for name in ("train_loss", "expected_loss", "gradient_norm_layer_1"):
            assert single[name][0] == metrics[name][row], name


@pytest.mark.parametrize("trained_by", ["reinforce", "exact"])
@pytest.mark.parametrize(
    "keep",
    [torch.tensor([False, True, True, True]), torch.tensor([3, 2]), torch.tensor([0, 2])],
    ids=["mask", "reordered", "one network"],
)
def test_kept_replicas_stay_at_their_networks_and_resume_bit_for_bit(trained_by, keep):
    lrs, seeds = torch.tensor([0.03, 0.03, 0.03, 0.1]), torch.tensor([0, 1, 0, 1])
    whole, part = (
        pack(lrs.tolist(), seeds.tolist(), trained_by=trained_by, draws=20) for _ in range(2)
    )
    for one in (whole, part):
        one.advance(3)
    part.select(keep)
    resumed = pack(lrs[keep].tolist(), seeds[keep].tolist(), trained_by=trained_by, draws=20)
    buffer = io.BytesIO()
    torch.save(part.state_dict(), buffer)
    resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue())))
    expected, kept, again = ({**one.advance(3), **one.evaluate()} for one in (whole, part, resumed))
    assert resumed.step == part.step == 6
    for name in expected:
        assert torch.equal(again[name], kept[name]), name
        torch.testing.assert_close(kept[name], expected[name][keep], equal_nan=True)
    for name in ("train_loss", "expected_loss", "gradient_norm_layer_2"):
        assert torch.equal(kept[name], expected[name][keep]), name


@pytest.mark.parametrize("trained_by", ["reinforce", "exact", "estimator"])
def test_packs_and_checkpoints_are_sound(trained_by):
    more = {**SMALL, "draws": 10, "evaluate_every": 2, "trained_by": trained_by}
    assert check_task("sbn_gradient_quality", "rebar", **more) == []


def test_a_number_of_steps_below_one_is_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        training(method("psa")).advance(0)


@pytest.mark.parametrize("trained_by", ["reinforce", "exact", "estimator"])
def test_a_run_is_the_same_alone_and_in_a_pack(trained_by):
    seeds, counts = list(range(10)), [1, 2, 3, 5, 10, 20, 30, 60, 1, 4]
    together = training(method("psa"), seeds, counts, trained_by=trained_by)
    metrics = {**together.advance(6), **together.evaluate()}
    for row in (0, 5, 9):
        alone = training(method("psa"), [seeds[row]], [counts[row]], trained_by=trained_by)
        for name, value in {**alone.advance(6), **alone.evaluate()}.items():
            torch.testing.assert_close(value[0], metrics[name][row], rtol=1e-9, atol=1e-12)


def test_a_kept_run_is_not_changed_by_those_that_are_dropped():
    whole, part = (
        training(method("rebar"), [0, 1, 2], evaluate_every=2, trained_by="estimator")
        for _ in range(2)
    )
    whole.advance(3)
    part.advance(3)
    part.select(torch.tensor([True, False, True]))
    expected = {**whole.advance(3), **whole.evaluate()}
    for name, value in {**part.advance(3), **part.evaluate()}.items():
        torch.testing.assert_close(value, expected[name][[0, 2]], rtol=1e-9, atol=1e-12)


def test_a_resumed_run_continues_bit_for_bit():
    through = training(method("muprop"), [0, 1], evaluate_every=2, trained_by="estimator")
    through.advance(3)
    resumed = training(method("muprop"), [0, 1], evaluate_every=2, trained_by="estimator")
    resumed.load_state_dict(through.state_dict())
    expected = {**through.advance(3), **through.evaluate()}
    for name, value in {**resumed.advance(3), **resumed.evaluate()}.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    ("name", "fixed", "factor"),
    [("reinforce", {}, 0.8), ("muprop", {"learn_eta": False}, 1), ("rebar", {"eta": 0.5}, 0.8)],
    ids=["reinforce", "muprop", "rebar"],
)
def test_an_exact_baseline_lowers_the_variance(name, fixed, factor):
    """Muprop's constant part, which it replaces, does nearly as well."""
    errors = [
        training(method(name, **fixed), exact_baseline=baseline)
        .evaluate()["relative_rmse_layer_1"]
        .item()
        for baseline in (False, True)
    ]
    assert errors[1] < factor * errors[0]


def test_curves_hold_the_measurement_of_the_last_interval():
    one = training(method("psa"), evaluate_every=4)
    rows = [one.advance(2)["relative_rmse_layer_1"].item() for _ in range(3)]
    assert rows[0] == rows[1] != rows[2]


def test_reported_metrics_are_declared_for_any_depth():
    for layers in (1, 2, 4):
        one = training(method("psa"), layers=layers, evaluate_every=2)
        reported = {*one.advance(2), *one.evaluate()}
        assert reported <= set(TASK.metrics)
        depths = {name[-1] for name in reported if name in measures()}
        assert depths == {str(depth) for depth in range(1, min(layers, 3) + 1)}


def test_points_are_two_classes_that_overlap():
    data = points()
    first, second = data.x[data.label > 0], data.x[data.label < 0]
    assert len(first) == len(second) == 100
    assert first[:, 1].min() > 0
    assert (second[:, 1] < second[:, 0].cos()).all()
    assert second[:, 1].min() < -0.9
    assert data.x[:, 0].abs().max() < torch.pi / 2


def test_pre_activations_start_whitened():
    model = training(method("psa"), [0, 1], trained_by="estimator").model
    a = model.layers[0](points().x.expand(2, -1, -1))
    torch.testing.assert_close(a.mean(1), torch.zeros_like(a.mean(1)), atol=1e-12, rtol=0)
    torch.testing.assert_close(a.std(1, unbiased=False), torch.ones_like(a.std(1)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 11}, "units must be in 1..10, got 11"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"evaluate_every": 3}, "evaluate_every must be a multiple of report_every, 2, got 3"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(**wrong)


def test_a_baseline_needs_a_method_that_takes_one():
    reason = TASK.check(settings(exact_baseline=True), method("psa"))
    assert reason == "psa takes no baseline; set exact_baseline to false"
    assert TASK.check(settings(exact_baseline=True), method("muprop")) is None
