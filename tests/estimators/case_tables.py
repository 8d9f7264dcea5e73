"""What the tests of every family share: tables of cases, slopes of losses, steps of learning."""

import pytest
import torch


def as_parameters(table, get, keep):
    """The cases whose estimator passes a test, as parameters: a name and settings."""
    return pytest.mark.parametrize(
        ("name", "settings"),
        [
            pytest.param(*case, id=key)
            for key, case in table.items()
            if keep(get(case[0], **case[1]))
        ],
    )


def assert_slopes(parameters, slopes, loss_of, rel=2e-5):
    """Slopes are those of a loss, by finite differences in a random direction of each parameter.

    `loss_of` computes the loss of a parameter's present value, given its position in the list.
    """
    generator = torch.Generator().manual_seed(4)
    for index, (parameter, slope) in enumerate(zip(parameters, slopes, strict=True)):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        values = []
        for step in (1e-6, -2e-6):
            parameter.data += step * direction
            values.append(loss_of(index))
        parameter.data += 1e-6 * direction
        slope_of_loss = (values[0] - values[1]) / 2e-6
        assert slope_of_loss == pytest.approx((slope * direction).sum().item(), rel=rel, abs=1e-6)


def follow(method, tuning_loss_of, steps, lr=0.02):
    """Steps of Adam down the tuning loss, as a task makes them."""
    optimizer = torch.optim.Adam(method.parameters(), lr=lr)
    for step in range(steps):
        optimizer.zero_grad()
        tuning_loss_of(step).mean().backward()
        optimizer.step()
