"""Learning rates and gradients of each replica, as torch's on the replica alone."""

import pytest
import torch

from raysweep.tasks.training.optim import Adam, clip_gradients
from raysweep.tasks.training.plateau import Plateau

VALUES = torch.rand(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scheduler(factor=0.5, patience=2):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=factor, patience=patience, eps=0
    )


def test_rates_fall_as_those_of_torch():
    plateau = Plateau(3, 0.5, 2)
    alone = [scheduler() for _ in range(3)]
    for values in VALUES:
        plateau.observe(values)
        for value, (_, each) in zip(values.tolist(), alone, strict=True):
            each.step(value)
        expected = [optimizer.param_groups[0]["lr"] for optimizer, _ in alone]
        assert plateau.factors.tolist() == expected
    assert min(expected) < 0.2


def test_a_restored_schedule_goes_on():
    plateau, restored = Plateau(3, 0.5, 1), Plateau(3, 0.5, 1)
    for values in VALUES[:10]:
        plateau.observe(values)
    restored.load_state_dict(plateau.state_dict())
    for values in VALUES[10:]:
        plateau.observe(values)
        restored.observe(values)
        assert torch.equal(plateau.factors, restored.factors)


@pytest.mark.parametrize("keep", [torch.tensor([2, 0]), torch.tensor([True, False, True])])
def test_kept_replicas_have_their_schedules(keep):
    whole, cut = Plateau(3, 0.5, 1), Plateau(3, 0.5, 1)
    for values in VALUES[:9]:
        whole.observe(values)
        cut.observe(values)
    cut.select(keep)
    for values in VALUES[9:]:
        whole.observe(values)
        cut.observe(values[keep])
    assert torch.equal(cut.factors, whole.factors[keep])


def test_a_value_that_is_not_a_number_is_no_improvement():
    plateau = Plateau(2, 0.5, 0)
    plateau.observe(torch.tensor([torch.nan, 0.5]))
    assert plateau.factors.tolist() == [0.5, 1.0]


def test_scaled_rates_move_as_set_rates():
    start = torch.ones(2, 3, dtype=torch.float64)
    settings = {name: [0.0, 0.0] for name in ("weight_decay", "beta1", "beta2")}
    settings |= {"epsilon": [1e-8, 1e-8], "lr": [0.1, 0.2]}
    scaled, expected = start.clone(), start.clone()
    rule = Adam([scaled], settings)
    rule.scale_rates(torch.tensor([1.0, 0.25], dtype=torch.float64))
    rule.step([torch.ones_like(start)])
    Adam([expected], {**settings, "lr": [0.1, 0.05]}).step([torch.ones_like(start)])
    assert torch.equal(scaled, expected)


def test_gradients_are_clipped_as_by_torch():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.01, 1.0, 100.0])
    gradients = [
        torch.randn(shape, generator=generator) * scale.view(-1, *[1] * (len(shape) - 1))
        for shape in ((3, 4, 2), (3, 1, 5), (3, 7))
    ]
    clipped = clip_gradients(gradients, 2.0)
    for replica in range(3):
        alone = [torch.zeros_like(gradient[replica]) for gradient in gradients]
        for parameter, gradient in zip(alone, gradients, strict=True):
            parameter.grad = gradient[replica].clone()
        torch.nn.utils.clip_grad_norm_(alone, 2.0)
        for parameter, gradient in zip(alone, clipped, strict=True):
            torch.testing.assert_close(gradient[replica], parameter.grad)
