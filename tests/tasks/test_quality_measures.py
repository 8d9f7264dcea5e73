"""Measures of gradient estimates, against their definitions."""

import pytest
import torch

from raysweep.tasks.gradient_quality.measures import METRICS, Quality, measured


@pytest.fixture
def draws():
    """Estimates `n R M` around another vector than the exact one, `R M`."""

    def make(count, spread=2.0):
        generator = torch.Generator().manual_seed(0)
        exact = torch.randn(2, 6, generator=generator, dtype=torch.float64)
        noise = torch.randn(count, 2, 6, generator=generator, dtype=torch.float64)
        return exact, exact * 1.5 + spread * noise

    return make


def gathered(exact, estimates, part=7):
    quality = Quality(exact)
    for some in estimates.split(part):
        quality.add(some)
    return quality.metrics()


@pytest.mark.parametrize("n", [1, 10, 100])
def test_a_cosine_is_the_mean_over_means_of_n_estimates(draws, n):
    exact, estimates = draws(357)
    groups = 357 // n
    means = estimates[: groups * n].view(groups, n, 2, 6).mean(1)
    dot = (means * exact).sum(-1)
    expected = (dot / (means.norm(dim=-1) * exact.norm(dim=-1))).mean(0)
    torch.testing.assert_close(gathered(exact, estimates)[f"cosine_{n}"], expected)


def test_the_variance_is_that_of_one_estimate_over_the_squared_norm(draws):
    exact, estimates = draws(50)
    expected = estimates.var(0).sum(-1) / exact.square().sum(-1)
    torch.testing.assert_close(gathered(exact, estimates)["relative_variance"], expected)


def test_the_bias_is_the_distance_less_what_chance_alone_gives(draws):
    exact, estimates = draws(50, spread=0.5)
    distance = (estimates.mean(0) - exact).square().sum(-1)
    bias = distance - estimates.var(0).sum(-1) / 50
    expected = bias.sqrt() / exact.norm(dim=-1)
    assert (bias > 0).all()
    torch.testing.assert_close(gathered(exact, estimates)["relative_bias"], expected)


def test_a_distance_that_chance_explains_is_no_bias(draws):
    exact, estimates = draws(100)
    estimates = estimates - estimates.mean(0) + exact
    assert (gathered(exact, estimates)["relative_bias"] == 0).all()


def test_the_squared_error_is_squared_bias_plus_variance_over_n(draws):
    found = gathered(*draws(60))
    for n in (1, 10, 100, 1000):
        squared = found["relative_bias"].square() + found["relative_variance"] / n
        torch.testing.assert_close(found[f"relative_rmse_{n}"], squared.sqrt())


def test_the_error_of_one_estimate_is_its_mean_squared_distance(draws):
    """Exactly so: the mean over n draws of |g - exact|^2, with n - 1 for n in its variance."""
    exact, estimates = draws(60, spread=0.5)
    distance = (estimates - exact).square().sum(-1).mean(0)
    found = gathered(exact, estimates)["relative_rmse_1"].square() * exact.square().sum(-1)
    torch.testing.assert_close(found, distance)


def test_perfect_estimates_leave_nothing_to_wish_for(draws):
    exact, _ = draws(1)
    found = gathered(exact, exact.expand(1000, -1, -1), part=10)
    for name, value in found.items():
        if name != "gradient_norm":
            wanted = 1.0 if name.startswith("cosine") else 0.0
            torch.testing.assert_close(value, torch.full_like(value, wanted), rtol=0, atol=1e-7)
    torch.testing.assert_close(found["gradient_norm"], exact.norm(dim=-1))


def test_measures_do_not_depend_on_how_estimates_come(draws):
    exact, estimates = draws(120)
    whole, one_by_one = gathered(exact, estimates, 120), gathered(exact, estimates, 1)
    for name, value in whole.items():
        torch.testing.assert_close(one_by_one[name], value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 99, 1000])
def test_only_what_so_many_estimates_allow_is_measured(draws, count):
    found = gathered(*draws(count), part=50)
    assert set(found) == set(measured(count))
    assert set(found) <= set(METRICS)
    assert ("cosine_10" in found) == (count >= 10)
    assert ("relative_bias" in found) == (count >= 2)


def test_a_replica_that_is_not_a_number_spoils_no_other(draws):
    exact, estimates = draws(20)
    broken = estimates.clone()
    broken[3, 1] = torch.nan
    expected, found = gathered(exact, estimates), gathered(exact, broken)
    for name, value in expected.items():
        assert torch.equal(found[name][0], value[0])
        assert name == "gradient_norm" or found[name][1].isnan()
