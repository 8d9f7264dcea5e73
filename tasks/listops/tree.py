"""LSTMs over tokens and over binary trees, with a replica axis in front."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from raysweep.estimators.noise import Noise

MASKED = -1e4
"""Score of a merge that is not there: its probability is 0 in float32, and its gradient finite."""

Choose = Callable[[Float[Tensor, "R B P"], Bool[Tensor, "R B P"]], Float[Tensor, "R B P"]]
"""Function from the scores of merges, and whether they are there, to a one-hot choice."""


class LeafLSTM(nn.Module):
    """LSTM from left to right; its states are those of a tree's leaves.

    Input weights are normal with variance 2 / inputs (Kaiming), recurrent ones orthogonal; biases
    are 0, those of the forget gate 1.

    Args:
        inputs: Number of features of a token.
        units: Number of units, `D`.
        noise: Noise of the replicas for initialisation.
        dtype: Floating point format of the weights.
        device: Device of the weights.
    """

    def __init__(
        self, inputs: int, units: int, noise: Noise, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        self._units = units
        weight = normal(noise, inputs, 4 * units) * math.sqrt(2 / inputs)
        recurrent = orthogonal(noise, 4 * units, units).mT
        bias = torch.zeros(len(weight), 1, 4 * units, dtype=torch.float64)
        bias[..., units : 2 * units] = 1
        self.weight, self.recurrent, self.bias = (
            nn.Parameter(values.to(device, dtype).contiguous())
            for values in (weight, recurrent, bias)
        )

    def forward(self, x: Float[Tensor, "R B T inputs"]) -> Float[Tensor, "R B T 2D"]:
        """Return the output and the cell of every token, side by side."""
        replicas, batch = x.shape[:2]
        inputs = torch.baddbmm(self.bias, x.flatten(1, 2), self.weight).unflatten(1, (batch, -1))
        h = c = x.new_zeros(replicas, batch, self._units)
        states = []
        for gates in inputs.unbind(2):
            i, f, g, o = torch.baddbmm(gates, h, self.recurrent).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(torch.cat((h, c), -1))
        return torch.stack(states, 2)


class TreeLSTM(nn.Module):
    """Binary tree-LSTM that scores its compositions by a query.

    Weights are orthogonal, biases 0, and 1 is added to both forget gates. The query is normal with
    standard deviation 0.01.

    Args:
        units: Number of units, `D`.
        noise: Noise of the replicas for initialisation.
        dtype: Floating point format of the weights.
        device: Device of the weights.

    References:
        Choi, Yoo, Lee (2018), arXiv:1707.02786.
    """

    def __init__(self, units: int, noise: Noise, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.units = units
        weight = orthogonal(noise, 5 * units, 2 * units).mT
        bias = torch.zeros(len(weight), 1, 5 * units, dtype=torch.float64)
        query = normal(noise, units, 1) * 0.01
        self.weight, self.bias, self.query = (
            nn.Parameter(values.to(device, dtype).contiguous()) for values in (weight, bias, query)
        )

    def compose(
        self, left: Float[Tensor, "R B P 2D"], right: Float[Tensor, "R B P 2D"]
    ) -> Float[Tensor, "R B P 2D"]:
        """Return the states of parents, from those of their left and right children."""
        (left_h, left_c), (right_h, right_c) = left.chunk(2, -1), right.chunk(2, -1)
        children = torch.cat((left_h, right_h), -1).flatten(1, 2)
        gates = torch.baddbmm(self.bias, children, self.weight).unflatten(1, left.shape[1:3])
        i, f_left, f_right, u, o = gates.chunk(5, -1)
        c = (
            left_c * (f_left + 1).sigmoid()
            + right_c * (f_right + 1).sigmoid()
            + u.tanh() * i.sigmoid()
        )
        return torch.cat((o.sigmoid() * c.tanh(), c), -1)

    def scores(self, parents: Float[Tensor, "R B P 2D"]) -> Float[Tensor, "R B P"]:
        """Return the scores of compositions: their outputs times the query, by the root of D."""
        h = parents[..., : self.units].flatten(1, 2)
        return torch.bmm(h, self.query).view(parents.shape[:3]) / math.sqrt(self.units)

    def forward(
        self, states: Float[Tensor, "R B T 2D"], lengths: Int[Tensor, "R B"], choose: Choose
    ) -> Float[Tensor, "R B D"]:
        """Merge neighbours until one state is left; return its output.

        A step composes all pairs of neighbours, and a one-hot choice replaces one pair by its
        composition. The gradient to a choice comes from all compositions.

        Args:
            states: States of the tokens.
            lengths: Numbers of tokens.
            choose: Function that chooses the merge of a step.
        """
        positions = torch.arange(states.shape[2], device=states.device)
        for step in range(states.shape[2] - 1):
            left, right = states[:, :, :-1], states[:, :, 1:]
            merged = self.compose(left, right)
            remaining = (lengths - 1 - step).unsqueeze(-1)
            pairs = merged.shape[2]
            if pairs > 1:
                chosen = choose(self.scores(merged), positions[:pairs] < remaining)
                upto = chosen.cumsum(-1)
                at, before, after = (
                    weight.unsqueeze(-1) for weight in (chosen, 1 - upto, upto - chosen)
                )
                merged = at * merged + before * left + after * right
            states = torch.where(remaining.unsqueeze(-1) > 0, merged, left)
        return states[:, :, 0, : self.units]


def normal(noise: Noise, rows: int, columns: int) -> Float[Tensor, "R rows columns"]:
    """Draw standard normal numbers for every replica, in float64 on the CPU."""
    replicas = len(noise.seeds or ())
    return torch.special.ndtri(noise.uniform(replicas, rows, columns, dtype=torch.float64))


def orthogonal(noise: Noise, rows: int, columns: int) -> Float[Tensor, "R rows columns"]:
    """Draw matrices with orthonormal columns, uniform among all; `rows` is at least `columns`."""
    q, r = torch.linalg.qr(normal(noise, rows, columns))
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
