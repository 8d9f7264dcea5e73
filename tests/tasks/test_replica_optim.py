import itertools

import pytest
import torch

from raysweep.tasks.training.optim import SGD, Adam, RAdam

RATES = [1e-2, 1e-2, 3e-3, 1e-2, 1e-3]
DECAYS = [0.0, 0.0, 0.1, 0.0, 0.01]
MOMENTA = [0.9, 0.9, 0.0, 0.5, 0.9]
BETA2 = [0.999, 0.999, 0.9, 0.5, 0.99]
SHAPES = [(5, 4, 3), (5, 1, 3), (5, 7)]
SETTINGS = {
    "lr": RATES,
    "weight_decay": DECAYS,
    "momentum": MOMENTA,
    "beta1": MOMENTA,
    "beta2": BETA2,
    "epsilon": [1e-8, 1e-8, 1e-3, 1e-8, 1e-8],
}
EQUAL = {name: [values[2]] * 5 for name, values in SETTINGS.items()}


def sgd(parameters, settings):
    return SGD(parameters, settings)


def nesterov(parameters, settings):
    return SGD(parameters, settings, nesterov=True)


def torch_sgd(parameters, s):
    return torch.optim.SGD(
        parameters, lr=s["lr"], weight_decay=s["weight_decay"], momentum=s["momentum"]
    )


def torch_nesterov(parameters, s):
    return torch.optim.SGD(
        parameters,
        lr=s["lr"],
        weight_decay=s["weight_decay"],
        momentum=s["momentum"],
        nesterov=s["momentum"] > 0,
    )


def adaptive(kind):
    def make(parameters, s):
        betas = (s["beta1"], s["beta2"])
        return kind(
            parameters, lr=s["lr"], betas=betas, eps=s["epsilon"], weight_decay=s["weight_decay"]
        )

    return make


CASES = {
    "sgd": (sgd, torch_sgd),
    "nesterov": (nesterov, torch_nesterov),
    "adam": (Adam, adaptive(torch.optim.Adam)),
    "radam": (RAdam, adaptive(torch.optim.RAdam)),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request):
    return CASES[request.param]


def start():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def gradients(parameters, step):
    """Of an uneven bowl, with a push that changes from step to step."""
    return [parameter * 3 + torch.sin(parameter + step) for parameter in parameters]


def alone(make, replica, steps, settings):
    parameters = [parameter[replica].clone() for parameter in start()]
    values = {name: column[replica] for name, column in settings.items()}
    optimizer = make(parameters, values)
    for step in range(steps):
        for parameter, gradient in zip(parameters, gradients(parameters, step), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return parameters


@pytest.mark.parametrize("settings", [SETTINGS, EQUAL], ids=["mixed", "one-group"])
def test_every_replica_moves_as_under_torch(case, settings):
    make, make_torch = case
    parameters = start()
    optimizer = make(parameters, settings)
    for step in range(100):
        optimizer.step(gradients(parameters, step))
    for replica in range(5):
        expected = alone(make_torch, replica, 100, settings)
        for parameter, twin in zip(parameters, expected, strict=True):
            torch.testing.assert_close(parameter[replica], twin, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "keep",
    [torch.tensor([True, False, True, True, False]), torch.tensor([3, 0, 2])],
    ids=["mask", "indices"],
)
def test_kept_replicas_go_on_as_if_nothing_happened(case, keep):
    make, make_torch = case
    parameters = start()
    optimizer = make(parameters, SETTINGS)
    for step in range(40):
        optimizer.step(gradients(parameters, step))
    parameters = [parameter[keep] for parameter in parameters]
    optimizer.select(keep, parameters)
    for step in range(40, 100):
        optimizer.step(gradients(parameters, step))
    for position, replica in enumerate(torch.arange(5)[keep].tolist()):
        expected = alone(make_torch, replica, 100, SETTINGS)
        for parameter, twin in zip(parameters, expected, strict=True):
            torch.testing.assert_close(parameter[position], twin, rtol=1e-12, atol=1e-12)


def test_restored_state_goes_on_bit_for_bit(case):
    make, _ = case
    parameters = start()
    optimizer = make(parameters, SETTINGS)
    for step in range(4):
        optimizer.step(gradients(parameters, step))
    copies = [parameter.clone() for parameter in parameters]
    restored = make(copies, SETTINGS)
    restored.load_state_dict(optimizer.state_dict())
    for step in range(4, 20):
        optimizer.step(gradients(parameters, step))
        restored.step(gradients(copies, step))
    assert all(itertools.starmap(torch.equal, zip(parameters, copies, strict=True)))


def test_gradients_of_another_layout_are_taken_as_they_mean(case):
    make, _ = case
    parameters, others = start(), start()
    first, second = make(parameters, SETTINGS), make(others, SETTINGS)
    for step in range(10):
        now = gradients(parameters, step)
        first.step(now)
        now[0] = now[0].transpose(1, 2).contiguous().transpose(1, 2)
        second.step(now)
    assert all(itertools.starmap(torch.equal, zip(parameters, others, strict=True)))


def test_missing_setting_is_named():
    with pytest.raises(ValueError, match="SGD needs the settings momentum"):
        SGD(start(), {"lr": RATES, "weight_decay": DECAYS})


def test_settings_for_other_replicas_are_refused():
    short = {name: column[:3] for name, column in SETTINGS.items()}
    with pytest.raises(ValueError, match="settings are for 3 replicas"):
        Adam(start(), short)
