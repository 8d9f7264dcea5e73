"""Noise drawn again given the hard sample: its law, its derivatives, and its coupling."""

import pytest
import torch

from raysweep.estimators import Noise
from raysweep.estimators.relaxation import Categorical, Logistic, Probit
from raysweep.testing.estimators import problem, standard_errors

ROWS = 100_000
KINDS = {"categorical": (Categorical, 3), "logistic": (Logistic, 2), "probit": (Probit, 2)}
kinds = pytest.mark.parametrize(("kind", "categories"), KINDS.values(), ids=list(KINDS))


def draw(kind, logits, *, coupled, rows=ROWS, seed=1):
    relaxation = kind(logits)
    like = logits.expand(rows, *logits.shape)
    found = relaxation.draw(Noise(seed=seed), like, 1, coupled=coupled)
    return relaxation, type(found)(*(each.squeeze(0) for each in found))


def hard(z):
    """The hard sample as a function of z."""
    if z.shape[-1] == 1:
        return torch.cat((z <= 0, z > 0), -1).to(z)
    return torch.nn.functional.one_hot(z.argmax(-1), z.shape[-1]).to(z)


@kinds
@pytest.mark.parametrize("coupled", [True, False])
def test_noise_drawn_again_gives_the_same_hard_sample(kind, categories, coupled):
    logits = problem(2, categories).logits.detach()
    _, found = draw(kind, logits, coupled=coupled)
    assert torch.equal(hard(found.z), found.one_hot)
    assert torch.equal(hard(found.conditional), found.one_hot)


@kinds
def test_noise_drawn_again_has_the_law_of_the_noise_given_the_sample(kind, categories):
    """Moments within every hard sample, against those of the first draw, which rejection gives."""
    logits = problem(1, categories).logits.detach()
    _, found = draw(kind, logits, coupled=False)
    for category in range(categories):
        rows = found.one_hot[:, 0, category] == 1
        z, again = found.z[rows, 0], found.conditional[rows, 0]
        for moment in (lambda x: x, torch.sin, torch.square, torch.tanh):
            difference = moment(z) - moment(again)
            assert standard_errors(difference, torch.zeros(z.shape[-1])).max() < 5


@kinds
def test_coupled_slopes_lie_between_none_and_that_of_z(kind, categories):
    _, found = draw(kind, problem(2, categories).logits.detach(), coupled=True)
    assert ((found.slope >= 0) & (found.slope <= 1)).all()


@kinds
def test_slopes_are_derivatives_at_fixed_noise(kind, categories):
    logits = problem(1, categories).logits.detach()
    step = 1e-5
    _, found = draw(kind, logits, coupled=False, rows=2000)
    for place in range(categories):
        moved = []
        for sign in (1, -1):
            shifted = logits.clone()
            shifted[0, place] += sign * step
            _, other = draw(kind, shifted, coupled=False, rows=2000)
            moved.append((other.one_hot, other.conditional))
        same = (moved[0][0] == found.one_hot).all(-1) & (moved[1][0] == found.one_hot).all(-1)
        numeric = (moved[0][1] - moved[1][1]) / (2 * step)
        location = [kind(logits + sign * step * torch.eye(categories)[place]).location
                    for sign in (1, -1)]  # fmt: skip
        analytic = found.slope * (location[0] - location[1]) / (2 * step)
        torch.testing.assert_close(numeric[same], analytic[same], rtol=1e-5, atol=1e-5)


@kinds
def test_coupled_slopes_are_those_of_the_noise_that_gives_the_same_value(kind, categories):
    """Given the hard sample and z~ = z, coupled and redrawn slopes are the same function of z."""
    logits = problem(1, categories).logits.detach()
    _, coupled = draw(kind, logits, coupled=True)
    _, again = draw(kind, logits, coupled=False)
    for category in range(categories):
        rows = coupled.one_hot[:, 0, category] == 1
        for moment in (lambda z, slope: slope, lambda z, slope: slope * torch.tanh(z)):
            difference = moment(coupled.z, coupled.slope) - moment(again.conditional, again.slope)
            width = difference.shape[-1]
            assert standard_errors(difference[rows, 0], torch.zeros(width)).max() < 5


@kinds
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("size", [1.0, 20.0, 50.0])
def test_draws_in_float32_are_close_to_those_in_float64(kind, categories, coupled, size):
    logits = size * problem(1, categories).logits.detach().sign()
    uniform = Noise(seed=1).uniform(5000, 1, 2, dtype=torch.float32)

    class Same(Noise):
        """The same numbers in both formats."""

        def uniform(self, *shape, dtype=None, device=None):
            values = uniform[: shape[0], 0, 0] if self._request == 0 else uniform[: shape[0], 0, 1]
            self._request += 1
            return values.view(shape[0], 1).to(dtype)

        def exponential(self, *shape, dtype=None, device=None):
            generator = torch.Generator().manual_seed(self._request)
            self._request += 1
            return -torch.rand(shape, generator=generator).clamp(min=1e-7).log().to(dtype)

    found = []
    for dtype in (torch.float32, torch.float64):
        relaxation = kind(logits.to(dtype))
        like = logits.to(dtype).expand(5000, *logits.shape)
        found.append(relaxation.draw(Same(), like, 1, coupled=coupled))
    narrow, wide = found
    same = (narrow.one_hot.double() == wide.one_hot).all(-1)
    assert same.float().mean() > 0.999
    for each, other in zip(narrow, wide, strict=True):
        assert each.isfinite().all()
        torch.testing.assert_close(each.double()[same], other[same], rtol=2e-3, atol=2e-3)
