"""Greedy trees, and how well they agree with the true ones."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.tasks.listops.examples import SPANS, Trees, code, membership
from raysweep.tasks.listops.tree import TreeLSTM


def greedy(
    tree: TreeLSTM, states: Float[Tensor, "R B T 2D"], lengths: Int[Tensor, "R B"]
) -> tuple[Float[Tensor, "R B D"], Int[Tensor, "R B S"]]:
    """Merge the pair with the best score until one state is left.

    Only the two pairs beside a merge are composed anew, so the cost is linear in the number of
    tokens; not for gradients.

    Args:
        tree: Tree-LSTM that composes and scores.
        states: States of the tokens.
        lengths: Numbers of tokens.

    Returns:
        Output of the last state, and the codes of the merges' spans, `SPANS` where there is none.
    """
    width = states.shape[2]
    positions = torch.arange(width, device=states.device)
    first = last = positions.expand(*lengths.shape, -1)
    merged = tree.compose(states[:, :, :-1], states[:, :, 1:])
    scores = tree.scores(merged)
    codes = []
    for step in range(width - 1):
        pairs = width - 1 - step
        remaining = (lengths - 1 - step).unsqueeze(-1)
        present = positions[:pairs] < remaining
        at = scores.masked_fill(~present, -torch.inf).argmax(-1, keepdim=True)
        span = code(first.gather(2, at), last.gather(2, at + 1))
        codes.append(torch.where(remaining > 0, span, SPANS))
        kept = positions[:pairs] + (positions[:pairs] > at)
        shifted = _at(states, kept).scatter(2, _wide(at, states), _at(merged, at))
        states = torch.where(remaining.unsqueeze(-1) > 0, shifted, states[:, :, :-1])
        last = last.gather(2, kept + (positions[:pairs] == at))
        first = first.gather(2, kept)
        if pairs == 1:
            break
        kept = kept[..., :-1].clamp(max=pairs - 1)
        merged, scores = _at(merged, kept), scores.gather(2, kept)
        beside = torch.cat((at - 1, at), -1).clamp(0, pairs - 2)
        fresh = tree.compose(_at(states, beside), _at(states, beside + 1))
        merged = merged.scatter(2, _wide(beside, merged), fresh)
        scores = scores.scatter(2, beside, tree.scores(fresh))
    if not codes:
        return states[:, :, 0, : tree.units], lengths.new_empty(*lengths.shape, 0)
    return states[:, :, 0, : tree.units], torch.cat(codes, -1)


def agreement(
    spans: Int[Tensor, "R B S"], trees: Trees
) -> tuple[Float[Tensor, "R B"], Float[Tensor, "R B"]]:
    """Count the spans of true trees that a parse has: of the binary tree, and of constituents.

    Args:
        spans: Codes of the parse's spans, `SPANS` for none.
        trees: True trees of the same expressions.
    """
    binary, constituents = (
        membership(codes).expand(len(spans), -1, -1).gather(2, spans).sum(-1).double()
        for codes in (trees.binary, trees.constituents)
    )
    return binary, constituents


def _wide(index: Int[Tensor, "R B P"], like: Float[Tensor, "R B _ D"]) -> Int[Tensor, "R B P D"]:
    return index.unsqueeze(-1).expand(-1, -1, -1, like.shape[-1])


def _at(values: Float[Tensor, "R B _ D"], index: Int[Tensor, "R B P"]) -> Float[Tensor, "R B P D"]:
    return values.gather(2, _wide(index, values))
