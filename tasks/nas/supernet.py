"""Network whose cells have every operation on every edge, of which a sample uses one."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from raysweep.estimators.noise import Noise
from raysweep.tasks.nas.operations import (
    average_pool,
    convolve,
    convolve_normalised,
    halve,
    normalise,
)
from raysweep.tasks.nas.space import EDGES, OPERATIONS

STAGES = 3  # of cells; channels double, and sides halve, between them
NODES = 1 + max(node for node, _ in EDGES)
NONE, SKIP, POINTWISE, SPATIAL = (
    OPERATIONS.index(name) for name in ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
)
KERNELS = {POINTWISE: 1, SPATIAL: 3}

Unselected = Literal["zero", "evaluated"]


class Sizes(NamedTuple):
    """Sizes of a supernet.

    Args:
        inputs: Channels of the images.
        classes: Number of classes.
        channels: Channels of the first stage.
        cells: Cells of every stage.
    """

    inputs: int
    classes: int
    channels: int
    cells: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every kernel, by name, without the replica axis."""
        shapes: dict[str, tuple[int, ...]] = {"stem": (self.channels, self.inputs, 3, 3)}
        for stage in range(STAGES):
            width = self.channels * 2**stage
            if stage > 0:
                shapes[f"reduction_{stage}_first"] = (width, width // 2, 3, 3)
                shapes[f"reduction_{stage}_second"] = (width, width, 3, 3)
                shapes[f"reduction_{stage}_shortcut"] = (width, width // 2, 1, 1)
            for operation, side in KERNELS.items():
                name = f"cells_{stage}_{OPERATIONS[operation]}"
                shapes[name] = (self.cells, len(EDGES), width, width, side, side)
        return shapes

    @property
    def features(self) -> int:
        """Number of values that the classes' scores are computed from."""
        return self.channels * 2 ** (STAGES - 1)


class Choice(NamedTuple):
    """Replicas by the operation that they use on one edge.

    Args:
        parts: Operations, with the replicas that use each; None for all of them.
        order: Positions of the replicas in the parts, one after another; None if there is one.
    """

    parts: Sequence[tuple[int, Int[Tensor, " r"] | None]]
    order: Int[Tensor, " R"] | None


def choices(code: Int[Tensor, "R 6"]) -> list[Choice]:
    """Group the replicas of every edge by their operation."""
    made = []
    for column in code.cpu().unbind(1):
        chosen = column.tolist()
        operations = sorted(set(chosen))
        if len(operations) == 1:
            made.append(Choice([(operations[0], None)], None))
            continue
        rows = [(column == operation).nonzero().flatten() for operation in operations]
        parts = [(op, part.to(code.device)) for op, part in zip(operations, rows, strict=True)]
        made.append(Choice(parts, torch.cat(rows).argsort().to(code.device)))
    return made


class Supernet(nn.Module):
    """Network of NATS-Bench with all operations of its cells, for many replicas.

    Three stages of cells follow a convolution of the images; a residual block between stages
    halves the sides and doubles the channels. A node of a cell is the sum of its incoming edges.
    All cells share one choice of operations.

    Args:
        sizes: Sizes of the network.
        seeds: Seed of each replica.
        dtype: Floating point format of the weights.
        device: Device of the weights.

    References:
        Dong, Yang (2019), "GDAS", arXiv:1910.04465; Dong, Liu, Musial, Gabrys (2021),
        "NATS-Bench", arXiv:2009.00437, section 3.1.
    """

    def __init__(
        self, sizes: Sizes, seeds: Sequence[int], dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        self.sizes = sizes
        noise, replicas = Noise(seeds=list(seeds), purpose="weights"), len(seeds)
        for name, shape in sizes.shapes().items():
            bound = 1 / math.sqrt(math.prod(shape[-3:]))
            self._add(name, bound, noise.uniform(replicas, *shape, dtype=dtype, device=device))
        bound, outputs = 1 / math.sqrt(sizes.features), (sizes.features, sizes.classes)
        self._add("head", bound, noise.uniform(replicas, *outputs, dtype=dtype, device=device))
        biases = noise.uniform(replicas, 1, sizes.classes, dtype=dtype, device=device)
        self._add("head_bias", bound, biases)

    def _add(self, name: str, bound: float, uniform: Tensor) -> None:
        self.register_parameter(name, nn.Parameter((2 * uniform - 1) * bound))

    def forward(
        self,
        x: Float[Tensor, "R B C H W"],
        chosen: Sequence[Choice],
        sample: Float[Tensor, "R 6 5"] | None = None,
        unselected: Unselected = "zero",
    ) -> Float[Tensor, "R B classes"]:
        """Return the scores of the classes.

        Args:
            x: Images of every replica.
            chosen: Operations of the sampled cells, for every edge.
            sample: One-hot sample of the cells that carries a gradient; None to need none.
            unselected: Contribution to an edge of an operation that is not sampled. `zero`: its
                weight in the sample itself, 0, in every number, as if its output were 1, so that
                the sample's gradient there is not that of the operation. `evaluated`: its weight
                times its output, so that the sample's gradient is the true one of every entry.
        """
        edges = _Edges(chosen, sample, unselected)
        nodes = convolve_normalised(x, self.get_parameter("stem"), rectified=False)
        for stage in range(STAGES):
            if stage > 0:
                nodes = self._reduce(stage, nodes)
            kernels = {
                operation: self.get_parameter(f"cells_{stage}_{OPERATIONS[operation]}")
                .flatten(1, 2)
                .unbind(1)
                for operation in KERNELS
            }
            for cell in range(self.sizes.cells):
                first = cell * len(EDGES)
                of_cell = {
                    operation: every[first : first + len(EDGES)]
                    for operation, every in kernels.items()
                }
                nodes = edges.cell(nodes, of_cell)
        features = normalise(nodes).relu().mean((-2, -1))
        return torch.baddbmm(self.get_parameter("head_bias"), features, self.get_parameter("head"))

    def _reduce(self, stage: int, x: Float[Tensor, "R B C H W"]) -> Float[Tensor, "R B D h w"]:
        """Apply the residual block before a stage."""
        first, second, shortcut = (
            self.get_parameter(f"reduction_{stage}_{part}")
            for part in ("first", "second", "shortcut")
        )
        inner = convolve_normalised(convolve_normalised(x, first, stride=2), second)
        return convolve(halve(x), shortcut) + inner


class _Edges:
    """Evaluation of cells whose operations are chosen; for the arguments see `Supernet.forward`."""

    def __init__(
        self,
        chosen: Sequence[Choice],
        sample: Float[Tensor, "R 6 5"] | None,
        unselected: Unselected,
    ) -> None:
        self._chosen = chosen
        self._weights = None if sample is None else sample[..., None, None, None, None]
        self._all = sample is not None and unselected == "evaluated"

    def cell(
        self, x: Float[Tensor, "R B C H W"], kernels: Mapping[int, Sequence[Tensor]]
    ) -> Float[Tensor, "R B C H W"]:
        """Return a cell's last node."""
        nodes = [x]
        for node in range(1, NODES):
            parts = [
                self._edge(edge, nodes[source], kernels)
                for edge, (end, source) in enumerate(EDGES)
                if end == node
            ]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            nodes.append(total)
        return nodes[-1]

    def _edge(
        self, edge: int, x: Float[Tensor, "R B C H W"], kernels: Mapping[int, Sequence[Tensor]]
    ) -> Float[Tensor, "R B C H W"]:
        of_edge = {operation: every[edge] for operation, every in kernels.items()}
        if self._all and self._weights is not None:
            factors = self._weights[:, edge].unbind(1)
            parts = [
                factors[operation] * apply(operation, x, of_edge)
                for operation in range(len(OPERATIONS))
                if operation != NONE
            ]
            return torch.stack(parts).sum(0)
        selected = self._selected(edge, x, of_edge)
        if self._weights is None:
            return selected
        weights = self._weights[:, edge]
        one = self._one(edge, weights)
        return one * selected + (weights.sum(1) - one)

    def _one(self, edge: int, weights: Float[Tensor, "R 5 1 1 1 1"]) -> Float[Tensor, "R 1 1 1 1"]:
        """Return the weight of each replica's selected operation."""
        parts, order = self._chosen[edge]
        rows = [weights[:, op] if part is None else weights[part, op] for op, part in parts]
        return rows[0] if order is None else torch.cat(rows)[order]

    def _selected(
        self, edge: int, x: Float[Tensor, "R B C H W"], kernels: dict[int, Tensor]
    ) -> Float[Tensor, "R B C H W"]:
        """Return the outputs of each replica's selected operation."""
        parts, order = self._chosen[edge]
        if order is None:
            return apply(parts[0][0], x, kernels)
        outputs = [
            apply(
                operation,
                x[rows],
                {key: every[rows] for key, every in kernels.items() if key == operation},
            )
            for operation, rows in parts
        ]
        return torch.cat(outputs)[order]


def apply(
    operation: int, x: Float[Tensor, "R B C H W"], kernels: dict[int, Tensor]
) -> Float[Tensor, "R B C H W"]:
    """Return the output of an operation of the space, for images and the kernels of an edge."""
    if operation == NONE:
        return torch.zeros_like(x)
    if operation == SKIP:
        return x
    if operation in KERNELS:
        return convolve_normalised(x, kernels[operation])
    return average_pool(x)
