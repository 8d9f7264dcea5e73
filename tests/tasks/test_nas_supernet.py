"""Network of the search of NATS-Bench's cells: its scores and gradients."""

import itertools
import math

import pytest
import torch
from torch import nn

from raysweep.tasks.nas import operations
from raysweep.tasks.nas.space import EDGES, OPERATIONS
from raysweep.tasks.nas.supernet import Sizes, Supernet, choices

CPU = torch.device("cpu")
SIZES = Sizes(inputs=2, classes=3, channels=2, cells=2)
CODES = [(3, 2, 1, 4, 0, 3), (4, 3, 0, 2, 1, 0), (1, 1, 2, 0, 4, 2), (2, 2, 2, 2, 2, 2)]


@pytest.fixture
def network():
    """A supernet of a replica per seed, in float64."""
    return lambda seeds: Supernet(SIZES, seeds, torch.float64, CPU)


def images(replicas=1, batch=3):
    generator = torch.Generator().manual_seed(5)
    return (
        torch.randn(1, batch, 2, 8, 8, generator=generator)
        .double()
        .expand(replicas, -1, -1, -1, -1)
    )


def one_hot(*codes):
    return torch.nn.functional.one_hot(torch.tensor(codes), len(OPERATIONS)).double()


def chosen(*codes):
    return choices(torch.tensor(codes))


class Block(nn.Sequential):
    """ReLU, convolution and normalisation, of torch's layers."""

    def __init__(self, kernels, stride=1, first=True):
        outputs, inputs, side, _ = kernels.shape
        conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False, dtype=kernels.dtype)
        conv.weight.data = kernels
        norm = nn.BatchNorm2d(outputs, affine=False, track_running_stats=False)
        super().__init__(*([nn.ReLU()] if first else []), conv, norm)


class Reference:
    """One replica of a supernet with one cell, built of torch's layers, an edge after another."""

    def __init__(self, net, replica, code):
        self.weights = {name: value[replica] for name, value in net.named_parameters()}
        self.code = code

    def edge(self, stage, cell, edge, x):
        name = OPERATIONS[self.code[edge]]
        if name == "none":
            return x * 0
        if name == "skip_connect":
            return x
        if name == "avg_pool_3x3":
            return nn.AvgPool2d(3, 1, 1, count_include_pad=False)(x)
        return Block(self.weights[f"cells_{stage}_{name}"][cell, edge])(x)

    def __call__(self, x):
        x = Block(self.weights["stem"], first=False)(x)
        for stage in range(3):
            if stage:
                prefix = f"reduction_{stage}_"
                inner = Block(self.weights[prefix + "first"], 2)(x)
                inner = Block(self.weights[prefix + "second"])(inner)
                pooled = nn.AvgPool2d(2)(x)
                shortcut = self.weights[prefix + "shortcut"][:, :, 0, 0]
                x = torch.einsum("oc,bchw->bohw", shortcut, pooled) + inner
            for cell in range(SIZES.cells):
                nodes = [x]
                for node in (1, 2, 3):
                    inputs = [(e, source) for e, (end, source) in enumerate(EDGES) if end == node]
                    nodes.append(sum(self.edge(stage, cell, e, nodes[s]) for e, s in inputs))
                x = nodes[-1]
        norm = nn.BatchNorm2d(x.shape[1], affine=False, track_running_stats=False)
        features = norm(x).relu().mean((2, 3))
        return features @ self.weights["head"] + self.weights["head_bias"]


def test_the_supernet_at_a_cell_is_the_network_of_torchs_layers(network):
    codes = [*CODES, (0, 3, 3, 2, 1, 4)]  # whose second node is 0
    net = network(range(len(codes)))
    scores = net(images(len(codes)), chosen(*codes))
    for replica, code in enumerate(codes):
        expected = Reference(net, replica, code)(images()[0])
        torch.testing.assert_close(scores[replica], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("code", [(op,) * 6 for op in range(5)] + CODES)
def test_a_replica_is_the_same_alone_and_beside_others_bit_for_bit(network, code):
    codes = [CODES[0], code, CODES[1]]
    together = network([1, 2, 3])(images(3), chosen(*codes))
    alone = network([2])(images(), chosen(code))
    assert torch.equal(together[1], alone[0])


@pytest.mark.parametrize("unselected", ["zero", "evaluated"])
def test_replicas_as_groups_of_channels_have_the_same_scores_and_gradients(
    network, monkeypatch, unselected
):
    """A GPU evaluates all replicas at once, a CPU one by one."""
    net, sample = network(range(4)), one_hot(*CODES).requires_grad_()
    x = torch.stack([images()[0] * (replica + 1) for replica in range(4)])
    results = []
    for function in (operations.one_by_one, operations.together):
        monkeypatch.setattr(operations, "by_replica", function)
        scores = net(x, chosen(*CODES), sample, unselected)
        wanted = [sample, *net.parameters()]
        results.append([scores, *torch.autograd.grad(scores.square().sum(), wanted)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("unselected", ["zero", "evaluated"])
def test_a_sample_changes_no_score(network, unselected):
    net = network(range(4))
    plain = net(images(4), chosen(*CODES))
    sampled = net(images(4), chosen(*CODES), one_hot(*CODES), unselected)
    torch.testing.assert_close(sampled, plain, rtol=1e-10, atol=1e-10)


def gradient(net, code, unselected):
    sample = one_hot(code).requires_grad_()
    loss = net(images(), chosen(code), sample, unselected).square().sum()
    return torch.autograd.grad(loss, sample)[0][0]


@pytest.mark.parametrize("code", CODES)
def test_evaluated_operations_give_the_true_gradient_of_every_entry(network, code):
    net, step = network([0]), 1e-6
    found = gradient(net, code, "evaluated")
    for edge, operation in itertools.product(range(6), range(5)):
        losses = []
        for sign in (1, -1):
            sample = one_hot(code)
            sample[0, edge, operation] += sign * step
            scores = net(images(), chosen(code), sample, "evaluated")
            losses.append(scores.square().sum())
        slope = (losses[0] - losses[1]) / (2 * step)
        torch.testing.assert_close(found[edge, operation], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("code", CODES)
def test_operations_left_at_zero_get_the_gradient_of_an_output_of_one(network, code):
    net = network([0])
    found, true = gradient(net, code, "zero"), gradient(net, code, "evaluated")
    for edge, operation in enumerate(code):
        torch.testing.assert_close(found[edge, operation], true[edge, operation])
        others = [found[edge, other].item() for other in range(5) if other != operation]
        assert others == pytest.approx(others[:1] * 4)
        if operation == OPERATIONS.index("skip_connect"):  # 0 times the others, so it is not theirs
            assert others[0] != pytest.approx(true[edge, operation].item())


def test_a_shift_of_an_edge_by_a_number_has_the_slope_of_an_output_of_one(network):
    """The published search adds the weights of other operations to an edge as they are."""
    net, code, step = network([0]), CODES[0], 1e-6
    found = gradient(net, code, "zero")
    other = 2  # not selected on the first edge
    losses = []
    for sign in (1, -1):
        sample = one_hot(code)
        sample[0, 0, other] = sign * step
        losses.append(net(images(), chosen(code), sample, "zero").square().sum())
    slope = (losses[0] - losses[1]) / (2 * step)
    torch.testing.assert_close(found[0, other], slope, rtol=1e-5, atol=1e-7)


def test_weights_start_as_torchs_layers_do(network):
    net = Supernet(Sizes(3, 10, 16, 5), range(20), torch.float64, CPU)
    for name, value in net.named_parameters():
        inputs = 64 if name.startswith("head") else math.prod(value.shape[-3:])
        bound = 1 / math.sqrt(inputs)
        assert value.abs().max() <= bound
        error = bound / math.sqrt(3) / math.sqrt(value.numel())
        assert abs(value.mean()) < 5 * error


def test_only_the_operations_of_a_cell_get_a_gradient(network):
    net, names = network([0]), ["nor_conv_1x1", "nor_conv_3x3"]
    loss = net(images(), chosen((3, 1, 0, 2, 0, 1))).square().sum()
    kernels = [net.get_parameter(f"cells_0_{name}") for name in names]
    gradients = torch.autograd.grad(loss, kernels, materialize_grads=True, allow_unused=True)
    used = [gradient[0].flatten(2).abs().sum((0, 2)) > 0 for gradient in gradients]
    assert [edges.nonzero().flatten().tolist() for edges in used] == [[3], []]
