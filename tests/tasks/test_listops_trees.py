"""Trees of listops: sampled merges, greedy parses, and their agreement with the true trees."""

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.noise import Noise
from raysweep.tasks.listops.examples import SPANS, code, evaluated
from raysweep.tasks.listops.expressions import parse, tokenise
from raysweep.tasks.listops.greedy import agreement, greedy
from raysweep.tasks.listops.model import ListOpsModel
from raysweep.tasks.listops.tree import MASKED, TreeLSTM, orthogonal

CPU = torch.device("cpu")
PATHWISE = ["straight_through", "st_gumbel_softmax", "gumbel_rao", "gapped_st", "reinmax"]
TEXTS = ["[MAX 1 [SM 2 3 ] ]", "[MIN 4 2 9 ]", "[MED 1 2 [SM 3 [MAX 4 5 ] ] 6 ]"]


@pytest.fixture
def build(small):
    """Builds the model of the small task, with weights that matter."""

    def make(seeds=(0, 1), **changes):
        settings = tasks.get("listops").settings(
            **{**small["listops"], "dtype": "float64", **changes}
        )
        model = ListOpsModel(settings, list(seeds), CPU)
        for name, value in model.net.named_parameters():
            value.data *= {"embedding": 100, "output": 300, "tree.query": 300}.get(name, 1)
        return model

    return make


def examples(model, rows):
    """Some training expressions, the same for every replica, padded to the longest of them."""
    train = model._sets.train
    lengths = train.lengths[rows]
    tokens = train.tokens[rows, : int(lengths.max())]
    return tokens.expand(2, -1, -1), lengths.expand(2, -1)


def greedy_choice(scores, present):
    at = scores.masked_fill(~present, -torch.inf).argmax(-1, keepdim=True)
    return torch.zeros_like(scores).scatter(-1, at, 1.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expressions_of_a_batch_are_as_alone(build, dtype):
    model = build(dtype=dtype)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    rows = torch.tensor([0, 3, 8, 11, 20, 31])
    tokens, lengths = examples(model, rows)
    assert len(set(lengths[0].tolist())) > 2
    together = model.net.tree(model.net.states(tokens), lengths, greedy_choice)
    for index in range(len(rows)):
        alone_tokens, alone_lengths = examples(model, rows[[index]])
        alone = model.net.tree(model.net.states(alone_tokens), alone_lengths, greedy_choice)
        torch.testing.assert_close(alone[:, 0], together[:, index], rtol=0, atol=tolerance)


def test_greedy_trees_are_those_of_all_compositions(build):
    model = build()
    tokens, lengths = examples(model, torch.arange(30))
    states = model.net.states(tokens)
    expected = model.net.tree(states, lengths, greedy_choice)
    root, _ = greedy(model.net.tree, states, lengths)
    torch.testing.assert_close(root, expected, rtol=0, atol=1e-12)


def test_a_greedy_parse_is_a_binary_tree(build):
    model = build()
    tokens, lengths = examples(model, torch.arange(30))
    _, spans = greedy(model.net.tree, model.net.states(tokens), lengths)
    for replica in range(2):
        for example, length in enumerate(lengths[replica].tolist()):
            merges = spans[replica, example].tolist()
            parts = [(position, position) for position in range(length)]
            for span in merges[: length - 1]:
                first, last = divmod(span, 100)
                (at,) = (
                    index
                    for index in range(len(parts) - 1)
                    if (parts[index][0], parts[index + 1][1]) == (first, last)
                )
                parts[at : at + 2] = [(first, last)]
            assert parts == [(0, length - 1)]
            assert set(merges[length - 1 :]) <= {SPANS}


def parsed(spans_of):
    """The agreement of parses of `TEXTS` with the true trees, as shares over all expressions."""
    every = sorted((tokenise(text) for text in TEXTS), key=len)
    trees = evaluated(every, CPU).trees
    width = max(map(len, every)) - 1
    spans = torch.full((1, len(every), width), SPANS)
    for row, tokens in enumerate(every):
        for column, (first, last) in enumerate(spans_of(tokens)):
            spans[0, row, column] = code(torch.tensor(first), torch.tensor(last))
    binary, constituents = agreement(spans, trees)
    return (
        (binary.sum() / (trees.binary >= 0).sum()).item(),
        (constituents.sum() / (trees.constituents >= 0).sum()).item(),
    )


def test_true_trees_have_an_f1_of_one():
    assert parsed(lambda tokens: parse(tokens).binary) == (1.0, 1.0)


def test_left_branching_trees_have_the_f1_that_is_counted_by_hand():
    f1, constituents = parsed(lambda tokens: [(0, last) for last in range(1, len(tokens))])
    # Shared spans, without the whole: all 4 of 4; (0,1) (0,2) (0,7) of 7; and of 13 those that
    # end with [med, 1, 2, the argument at its closing bracket, and 6
    assert f1 == pytest.approx((4 + 3 + 5) / (4 + 7 + 13))
    assert constituents == 0


def test_right_branching_trees_have_no_true_span_but_the_inner_ones():
    f1, constituents = parsed(
        lambda tokens: [(first, len(tokens) - 1) for first in range(len(tokens) - 1)]
    )
    assert f1 == constituents == 0


@pytest.mark.parametrize("name", PATHWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_through_masked_samples_are_finite_and_reach_the_query(build, name, dtype):
    model = build(dtype=dtype)
    tokens, lengths = examples(model, torch.tensor([0, 3, 8, 11, 20, 31]))
    noises = Noise(seeds=[0, 1], purpose="a"), Noise(seeds=[0, 1], purpose="b")
    scores = model.sampled_scores(tokens, lengths, estimators.get(name), noises)
    gradients = torch.autograd.grad(scores.square().sum(), list(model.net.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    names = [name for name, _ in model.net.named_parameters()]
    assert gradients[names.index("tree.query")].abs().sum() > 0


@pytest.mark.parametrize("name", PATHWISE)
def test_an_absent_merge_is_never_drawn_and_gets_no_gradient(name):
    present = torch.arange(9) < torch.tensor([[1], [4], [9]])
    scores = torch.randn(1, 3, 9, generator=torch.Generator().manual_seed(0))
    scores.requires_grad_()
    logits = torch.where(present, scores, MASKED)
    assert (logits.softmax(-1)[:, ~present] == 0).all()
    many = logits.flip(-1).unsqueeze(-2).expand(500, -1, -1, -1)
    drawn = estimators.get(name).sample(many, Noise(0)).squeeze(-2).flip(-1)
    assert drawn[:, ~present].sum() == 0
    assert (drawn.sum(-1) == 1).all()
    (gradient,) = torch.autograd.grad((drawn * torch.randn(9)).sum(), scores)
    assert gradient.isfinite().all()
    assert (gradient[:, ~present] == 0).all()


def test_a_drawn_uniform_of_almost_one_takes_a_merge_that_is_there():
    logits = torch.full((1, 1, 9), MASKED)
    logits[..., :5] = torch.linspace(0, 0.3, 5)

    class Ones(Noise):
        def uniform(self, *shape, dtype=None, device=None):
            return torch.full(shape, 1 - 2**-24)

    drawn = estimators.get("reinmax").sample(logits.flip(-1), Ones()).flip(-1)
    assert drawn[..., :5].sum() == 1


def test_initial_weights_are_orthogonal():
    q = orthogonal(Noise(seeds=[3, 4], purpose="init"), 15, 6)
    torch.testing.assert_close(q.mT @ q, torch.eye(6, dtype=q.dtype).expand(2, -1, -1))
    tree = TreeLSTM(4, Noise(seeds=[3], purpose="init"), torch.float64, CPU)
    identity = torch.eye(8, dtype=torch.float64).unsqueeze(0)
    torch.testing.assert_close(tree.weight @ tree.weight.mT, identity)


def test_compositions_are_those_of_the_formula():
    tree = TreeLSTM(3, Noise(seeds=[3], purpose="init"), torch.float64, CPU)
    left, right = torch.randn(2, 1, 1, 1, 6, dtype=torch.float64)
    gates = torch.cat((left[0, 0, 0, :3], right[0, 0, 0, :3])) @ tree.weight[0]
    i, f_left, f_right, u, o = gates.chunk(5)
    c = left[0, 0, 0, 3:] * (f_left + 1).sigmoid() + right[0, 0, 0, 3:] * (f_right + 1).sigmoid()
    c = c + u.tanh() * i.sigmoid()
    expected = torch.cat((o.sigmoid() * c.tanh(), c))
    torch.testing.assert_close(tree.compose(left, right)[0, 0, 0], expected)


def test_leaves_are_those_of_an_lstm_cell(build):
    model = build(seeds=[0])
    leaves = model.net.leaves
    cell = torch.nn.LSTMCell(5, 6).double()
    cell.weight_ih.data, cell.weight_hh.data = leaves.weight[0].mT, leaves.recurrent[0].mT
    cell.bias_ih.data, cell.bias_hh.data = leaves.bias[0, 0], torch.zeros(24).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    state = None
    for position in range(4):
        state = cell(x[0, :, position], state)
        torch.testing.assert_close(leaves(x)[0, :, position], torch.cat(state, -1))
