"""One-hot sampling, probabilities and their gradients, fast where there are few categories.

Torch's softmax and its reductions over the last axis cost far more per row than per number on a
CPU, so two categories, the most common case, have formulas of their own.
"""

import functools
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from raysweep.estimators.carrying import is_traced
from raysweep.estimators.noise import Noise

Term = tuple[float | Tensor, Float[Tensor, "... L C"]]
"""A scale (a number, or a tensor that broadcasts) and the probabilities it belongs to."""

Link = Literal["softmax", "probit"]
"""The function from logits to probabilities, by its name."""

MASKED = -1e30
"""Logit from which on a category is masked: its probability is 0 at every usual temperature."""

_KERNEL_CATEGORIES = 16
"""Number of categories from which torch's CPU softmax is fastest along the last axis."""

_MANY_NUMBERS = 2**13
"""Numbers from which their arithmetic takes longer than the calls."""

_FEW_NUMBERS = 2**9
"""Numbers up to which one call takes less than several that are faster for a number."""

_FEW_DRAWS = 2**12
"""Draws up to which a binary search for each is faster than a comparison with every category."""

_BYTE_PAIRS = torch.eye(2, dtype=torch.uint8).view(torch.int16).flatten().tolist()
"""Integers whose two bytes are the one-hot of class 0, and of class 1."""


def compact(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*b L C"]:
    """Detach the logits, and cut every batch axis that merely repeats them to length 1.

    Logits of masked categories become finite, so that no difference of two of them is undefined.
    """
    logits = logits.detach()
    # torch.compile(dynamic=True) fails to trace strides where two sizes are equal
    strides = () if torch.compiler.is_compiling() else logits.stride()[:-2]
    for axis, stride in enumerate(strides):
        if stride == 0:
            logits = logits.narrow(axis, 0, 1)
    return logits.clamp(min=MASKED)


def is_small(numbers: Float[Tensor, "..."]) -> bool:
    """Return whether one operation takes less time than several that are faster for a number.

    The two round differently. So it is never true of more than three axes, which may be those of a
    pack of runs: each is rounded there as it is alone.
    """
    return numbers.dim() <= 3 and numbers.numel() <= _FEW_NUMBERS


def probabilities(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B L C"]:
    """Return the softmax over the categories."""
    if is_small(logits):
        return logits.softmax(-1)
    if logits.shape[-1] == 2:
        return binary_probabilities(logits)
    if logits.shape[-1] >= _KERNEL_CATEGORIES or logits.device.type != "cpu":
        return logits.softmax(-1)
    return logits.movedim(-1, 0).softmax(0).movedim(0, -1).contiguous()


def sampling_probabilities(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*b L C"]:
    """Return the softmax, as a constant, of the logits that `compact` returns."""
    if is_small(logits):
        return logits.detach().clamp(min=MASKED).softmax(-1)
    return probabilities(compact(logits))


def binary_probabilities(logits: Float[Tensor, "*B L 2"]) -> Float[Tensor, "*B L 2"]:
    """Return the softmax over two categories."""
    if logits.numel() < _MANY_NUMBERS:
        return (logits - logits.flip(-1)).sigmoid()
    a = log_odds(logits)
    return side_by_side(-a, a).sigmoid()


def log_normaliser(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B L"]:
    """Return the log of the sum of exponentials over the categories."""
    if logits.shape[-1] == 2:
        return torch.logaddexp(*logits.unbind(-1))
    return logits.logsumexp(-1)


def softmax_logits(logits: Float[Tensor, "*B L C"], link: Link) -> Float[Tensor, "*B L C"]:
    """Return logits whose softmax is the variables' distribution under a link.

    Args:
        logits: Logits of the link; C = 2 with the probit link.
        link: "softmax", or "probit" with P(class 1) = Phi(theta_1 - theta_0).
    """
    if link == "softmax":
        return logits
    # from 1e4 on a class is sure, and the gradient of a masked one would be no number
    return torch.special.log_ndtr((logits - logits.flip(-1)).clamp(-1e4, 1e4))


def uniforms(
    noise: Noise, logits: Float[Tensor, "*B L C"], samples: int | None
) -> Float[Tensor, "K *B L"]:
    """Draw one uniform per sample and latent; the request leads with the batch, then samples.

    Args:
        noise: Source of the numbers.
        logits: Logits of the latents.
        samples: K, or None for one sample without the axis.
    """
    *batch, latents, _ = logits.shape
    if samples is None or samples == 1:
        one = noise.uniform(*batch, latents, dtype=logits.dtype, device=logits.device)
        return one if samples is None else one.unsqueeze(0)
    many = noise.uniform(*batch, samples, latents, dtype=logits.dtype, device=logits.device)
    return many.movedim(-2, 0).contiguous()


def exponentials(
    noise: Noise, logits: Float[Tensor, "*B L C"], samples: int | None
) -> Float[Tensor, "K *B L C"]:
    """Draw one standard exponential per sample and category, as `uniforms` draws for latents."""
    *batch, latents, categories = logits.shape
    if samples is None or samples == 1:
        one = noise.exponential(*logits.shape, dtype=logits.dtype, device=logits.device)
        return one if samples is None else one.unsqueeze(0)
    many = noise.exponential(
        *batch, samples, latents, categories, dtype=logits.dtype, device=logits.device
    )
    return many.movedim(-3, 0).contiguous()


def sample_one_hot(
    p: Float[Tensor, "*b L C"], uniform: Float[Tensor, "K *B L"]
) -> Float[Tensor, "K *B L C"]:
    """Invert the cumulative distribution: class c where c cumulative probabilities are <= u."""
    if p.shape[-1] == 2:
        return binary_one_hot(uniform >= p[..., 0], p.dtype)
    cumulative = p.cumsum(-1)
    # rounding leaves the last sum near one: a share of it is below it, whatever it is
    threshold = (uniform * cumulative.select(-1, -1)).unsqueeze(-1)
    if is_traced():
        below = threshold < cumulative
        before = torch.cat((torch.zeros_like(below[..., :1]), below[..., :-1]), -1)
        return (below ^ before).to(p.dtype)
    if uniform.numel() <= _FEW_DRAWS:
        sums = cumulative.expand(*uniform.shape, -1).contiguous()
        drawn = torch.searchsorted(sums, threshold, right=True)
        drawn.clamp_(max=p.shape[-1] - 1)  # what is no number is above all
        return torch.zeros_like(sums).scatter_(-1, drawn, 1.0)
    below = threshold < cumulative
    first = below.clone()
    first[..., 1:].logical_xor_(below[..., :-1])
    return first.view(torch.uint8).to(p.dtype)


def argmax_one_hot(scores: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B L C"]:
    """Return the one-hot of the largest score."""
    if scores.shape[-1] == 2 and scores.numel() > _FEW_NUMBERS:
        return binary_one_hot(scores[..., 1] > scores[..., 0], scores.dtype)
    if is_traced():
        categories = torch.arange(scores.shape[-1], device=scores.device)
        return (categories == scores.argmax(-1, keepdim=True)).to(scores.dtype)
    return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)


def binary_one_hot(is_second: Bool[Tensor, "*B L"], dtype: torch.dtype) -> Float[Tensor, "*B L 2"]:
    """Return the one-hot of class 1 where true, of class 0 elsewhere."""
    if is_traced():
        return torch.stack((~is_second, is_second), -1).to(dtype)
    if is_second.numel() < _MANY_NUMBERS:
        # a complex number has its parts side by side
        return torch.view_as_real(torch.where(is_second, *_unit_vectors(dtype, is_second.device)))
    first, second = _BYTE_PAIRS
    pairs = is_second.view(torch.uint8).to(torch.int16).mul_(second - first).add_(first)
    return pairs.unsqueeze(-1).view(torch.uint8).to(dtype)


@functools.cache
def _unit_vectors(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the one-hots of class 1 and class 0, as complex numbers."""
    second, first = torch.eye(2, dtype=dtype, device=device).flip(0)
    return torch.view_as_complex(second.clone()), torch.view_as_complex(first.clone())


def log_odds(logits: Float[Tensor, "*B L 2"]) -> Float[Tensor, "*B L"]:
    """Return the log-odds of class 1 against class 0."""
    return logits[..., 1] - logits[..., 0]


def from_log_odds(gradient: Float[Tensor, "*B L"]) -> Float[Tensor, "*B L 2"]:
    """Return the gradient to both logits, given the one to the log-odds of class 1."""
    return side_by_side(-gradient, gradient)


def side_by_side(first: Float[Tensor, "*B L"], second: Float[Tensor, "*B L"]) -> Tensor:
    """Return two numbers for each variable, along a new last axis."""
    if is_traced():
        return torch.stack((first, second), -1)
    # several times faster than stacking: a complex number has its parts side by side
    return torch.view_as_real(torch.complex(first, second))


def draw_one_hot(
    p: Float[Tensor, "*b L C"], logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
) -> Float[Tensor, "K *B L C"]:
    """Draw hard samples with probabilities `p`, in the shape of the logits."""
    return sample_one_hot(p, uniforms(noise, logits, samples))


def jacobian_product(
    terms: Sequence[Term], gradient: Float[Tensor, "K *B L C"]
) -> Float[Tensor, "K *B L C"]:
    """Sum `scale * J(p) g` with the softmax Jacobian `J(p) g = p * (g - <p, g>)`."""
    few = is_small(gradient) and not is_traced()
    if gradient.shape[-1] == 2 and not few:
        return binary_jacobian_product(_binary_weight(terms), gradient)
    total: Tensor | None = None
    for scale, p in terms:
        if few and p.shape == gradient.shape:
            product = torch._softmax_backward_data(gradient, p, -1, p.dtype)
        else:
            product = _centred(p * gradient, p)
        if not (isinstance(scale, float) and scale == 1):
            product = scale * product
        total = product if total is None else total + product
    if total is None:
        raise ValueError("terms must hold at least one term, got none")
    return total


def binary_jacobian_product(
    weight: Float[Tensor, "... L"], gradient: Float[Tensor, "K *B L 2"]
) -> Float[Tensor, "K *B L 2"]:
    """Return `weight (g_0 - g_1)` times (1, -1); for C = 2, J(p) g has weight `p_0 p_1`."""
    first, second = gradient.unbind(-1)
    difference = (first - second) * weight
    return side_by_side(difference, -difference)


def matrix_product(first: Float[Tensor, "... I J"], second: Float[Tensor, "... J M"]) -> Tensor:
    """Multiply matrices in the format that they have, inside autocast as well."""
    device = first.device.type
    if not torch.is_autocast_enabled(device):
        return torch.matmul(first, second)
    with torch.autocast(device, enabled=False):
        return torch.matmul(first, second)


def _centred(
    product: Float[Tensor, "K *B L C"], p: Float[Tensor, "... L C"]
) -> Float[Tensor, "K *B L C"]:
    return torch.addcmul(product, p, product.sum(-1, keepdim=True), value=-1)


def _binary_weight(terms: Sequence[Term]) -> Float[Tensor, "... L"]:
    """Sum `scale * p_0 p_1`."""
    weights = [
        p[..., 0] * p[..., 1] * (scale.squeeze(-1) if isinstance(scale, Tensor) else scale)
        for scale, p in terms
    ]
    return sum(weights[1:], start=weights[0])
