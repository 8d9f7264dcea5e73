"""Sums of sigmoids over the flips of a layer's inputs, as a few ordinary linear maps.

With unit i flipped, the pre-activation of unit j is `a_j + t`, where `t = -2 W_ij x_i`. A sum over
j of `sigmoid(a_j + t)` does not factor into a function of j and one of the weight, so that it would
need a number for each weight and example. Its Chebyshev expansion in t does factor: with m at least
the largest |2 W| and `y = 2 W / m`, `sigmoid(a + t)` is the sum over r of `c_r(a) T_r(t / m)`, and
`T_r(-x y)` is `T_r(y)`, times `-x` for odd r. So each order is one map by the fixed weights
`T_r(y)`, and a dozen of them reach rounding error: the sigmoid's poles are at distance pi from the
real axis, hence the coefficients of order r fall as `rho ** -r` with
`rho = (pi + sqrt(pi ** 2 + m ** 2)) / m`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

LARGEST_EXPANDED = 4.0
"""Largest reach of an expansion: the number of orders grows with it."""

NUMBERS_AT_ONCE = 2**22
"""Numbers that a sum over flips holds at once, where it is computed term by term."""

POLE = 3.0
"""Height of the ellipse on which the sigmoid is bounded; below its poles, at pi."""


class Expansion(NamedTuple):
    """Coefficients by order, times the signal, `orders ...`, orders from 1 on.

    Args:
        terms: Coefficients `c_r(a_j) signal_j`.
        reach: m, the largest |t| that the expansion is for.
    """

    terms: Tensor
    reach: float

    def odd(self, axis: int) -> Tensor:
        """Return the odd orders, side by side along an axis of units, counted from the end."""
        return _side_by_side(self.terms[0::2], axis)

    def even(self, axis: int) -> Tensor:
        """Return the even orders from 2 on, side by side along that axis."""
        return _side_by_side(self.terms[1::2], axis)

    def weights(self, doubled: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Return the Chebyshev polynomials of odd and of even orders, along the outputs' axis.

        The even ones are less their value at 0, where nothing is flipped.

        Args:
            doubled: Twice the layer's weights.
            axis: Axis of the outputs, counted from the end.
        """
        y = doubled / self.reach
        polynomials = [torch.ones_like(y), y]
        while len(polynomials) <= len(self.terms):
            polynomials.append(torch.addcmul(-polynomials[-2], y, polynomials[-1], value=2))
        even = polynomials[2::2]
        for index, polynomial in enumerate(even):
            polynomial.add_((-1.0) ** index)
        return torch.cat(polynomials[1::2], axis), torch.cat(even, axis)


def expand(logits: Tensor, signal: Tensor, largest: float) -> Expansion:
    """Return the expansion of `signal * sigmoid(logits + t)` in t.

    Args:
        logits: Pre-activations `a`, of any shape.
        signal: Weights of the pre-activations, in the shape of `logits`.
        largest: Largest |t|; it is rounded up to a power of two, so that orders rarely change.
    """
    reach = 2.0 ** math.ceil(math.log2(max(largest, 2.0**-6)))
    nodes = orders(reach, logits.dtype)
    quarters = 2 * torch.arange(nodes) + 1  # of a turn, over nodes
    # an angle of a few turns would keep fewer digits
    multiples = torch.arange(1, nodes).unsqueeze(1) * quarters % (4 * nodes)
    unit = math.pi / (2 * nodes)
    shifts = (reach * (unit * quarters.double()).cos()).tolist()
    transform = (unit * multiples.double()).cos().mul(2 / nodes).to(logits.device, logits.dtype)
    values = torch.stack([(logits + shift).sigmoid_() for shift in shifts])
    terms = (transform @ values.flatten(1)).view(nodes - 1, *logits.shape)
    return Expansion(terms.mul_(signal), reach)


def orders(reach: float, dtype: torch.dtype) -> int:
    """Return the number of orders, 0 included, that reach the rounding error of a format."""
    rate = (POLE + math.hypot(POLE, reach)) / reach
    return 1 + math.ceil(-math.log(torch.finfo(dtype).eps) / math.log(rate))


def rows_at_once(numbers: int) -> int:
    """Return the number of rows to compute at once, for so many numbers in each."""
    return max(1, NUMBERS_AT_ONCE // max(1, numbers))


def _side_by_side(stacked: Tensor, axis: int) -> Tensor:
    """Move the leading axis of orders into an axis that is counted from the end."""
    moved = stacked.movedim(0, axis - 1)
    return moved.flatten(axis - 1, axis)
