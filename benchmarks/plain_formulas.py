"""Gradient estimators as scripts have them: formulas in print, written out with torch's operations.

None is a copy of anybody's code. They are what `benchmarks.against_public` compares with.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

DRAWS = 10
"""Conditional draws of Gumbel-Rao."""

Sampler = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor], Tensor]
Surrogate = Callable[[Tensor, Loss], Tensor]
"""Function from logits `B L C` and a loss to numbers whose gradient is the estimate."""


def hard(p: Tensor) -> Tensor:
    """Return one-hot samples with these probabilities."""
    drawn = torch.multinomial(p.detach().flatten(0, -2), 1).view(p.shape[:-1])
    return functional.one_hot(drawn, p.shape[-1]).to(p)


def straight_through(theta: Tensor) -> Tensor:
    """Bengio et al. (2013)."""
    p = theta.softmax(-1)
    return hard(p) + p - p.detach()


def gumbel_hard(theta: Tensor) -> Tensor:
    """Jang et al. (2017), by torch itself."""
    return functional.gumbel_softmax(theta, 0.7, hard=True)


def gumbel_soft(theta: Tensor) -> Tensor:
    """Jang et al. (2017), by torch itself."""
    return functional.gumbel_softmax(theta, 0.7)


def reinmax(theta: Tensor) -> Tensor:
    """Liu et al. (2023), algorithm 2."""
    p = theta.softmax(-1)
    drawn = hard(p)
    middle = (drawn + (theta / 1.1).softmax(-1)) / 2
    shifted = ((middle.log() - theta).detach() + theta).softmax(-1)
    path = 2 * shifted - p / 2
    return path - path.detach() + drawn


def gapped(theta: Tensor) -> Tensor:
    """Fan et al. (2022), with a gap of 1."""
    drawn = hard(theta.softmax(-1))
    top = theta.amax(-1, keepdim=True)
    at_drawn = (theta * drawn).sum(-1, keepdim=True)
    move = (top - at_drawn) * drawn - (1 - drawn) * torch.relu(theta - (top - 1))
    soft = ((theta + move.detach()) / 0.7).softmax(-1)
    return soft - soft.detach() + drawn


def gumbel_rao(theta: Tensor) -> Tensor:
    """Paulus et al. (2021), with conditional draws of the noise."""
    weights = theta.detach().exp()
    drawn = hard(weights / weights.sum(-1, keepdim=True))
    draws = torch.empty(DRAWS, *theta.shape, device=theta.device).exponential_()
    top = (draws * drawn).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True)
    perturbed = torch.where(drawn.bool(), -top.log(), -(draws / weights + top).log())
    soft = (((perturbed - theta).detach() + theta) / 0.7).softmax(-1).mean(0)
    return soft - soft.detach() + drawn


SAMPLERS: dict[str, Sampler] = {
    "straight_through": straight_through,
    "st_gumbel_softmax": gumbel_hard,
    "gumbel_softmax": gumbel_soft,
    "gapped_st": gapped,
    "gumbel_rao": gumbel_rao,
    "reinmax": reinmax,
}


def log_probability(theta: Tensor, drawn: Tensor) -> Tensor:
    """Return the log-probability of samples, of all variables at once."""
    return (theta.log_softmax(-1) * drawn).sum((-2, -1))


def reinforce(theta: Tensor, loss: Loss) -> Tensor:
    """Williams (1992)."""
    drawn = hard(theta.softmax(-1))
    return loss(drawn).detach() * log_probability(theta, drawn)


def reinforce_loo(theta: Tensor, loss: Loss, samples: int = 4) -> Tensor:
    """Kool et al. (2019)."""
    p = theta.detach().softmax(-1)
    drawn = hard(p.expand(samples, *p.shape))
    losses = loss(drawn).detach()
    signal = (losses - losses.mean(0)) / (samples - 1)
    return (signal * log_probability(theta, drawn)).sum(0)


def muprop(theta: Tensor, loss: Loss) -> Tensor:
    """Gu et al. (2016), with both parts of the expansion and weights of 1."""
    p = theta.softmax(-1)
    drawn, mean = hard(p), p.detach().requires_grad_()
    at_mean = loss(mean)
    (slope,) = torch.autograd.grad(at_mean.sum(), mean)
    linear = (slope * (drawn - mean)).sum((-2, -1))
    signal = (loss(drawn) - at_mean - linear).detach()
    return signal * log_probability(theta, drawn) + (slope * p).sum((-2, -1))


def rebar(theta: Tensor, loss: Loss, eta: float = 1.0, temperature: float = 0.5) -> Tensor:
    """Tucker et al. (2017), with noise of its own for the conditional sample."""
    return _rebar(theta, loss, eta, temperature)


def rebar_learned(theta: Tensor, loss: Loss) -> Tensor:
    """Tucker et al. (2017), with the gradient of the squared estimate to eta and temperature."""
    eta = torch.ones((), device=theta.device, requires_grad=True)
    log_temperature = torch.full((), -0.7, device=theta.device, requires_grad=True)
    surrogate = _rebar(theta, loss, eta, log_temperature.exp())
    (gradient,) = torch.autograd.grad(surrogate.sum(), theta, create_graph=True)
    gradient.square().sum().backward(inputs=[eta, log_temperature])
    return (gradient.detach() * theta).sum((-2, -1))


def _rebar(theta: Tensor, loss: Loss, eta: float | Tensor, temperature: float | Tensor) -> Tensor:
    p = theta.softmax(-1)
    z = theta - torch.empty_like(theta).exponential_().log()
    drawn = functional.one_hot(z.argmax(-1), theta.shape[-1]).to(theta)
    draws = torch.empty_like(theta).exponential_()
    top = (draws * drawn).sum(-1, keepdim=True)
    conditional = torch.where(drawn.bool(), -top.log(), -(draws / p + top).log())
    relaxed, again = (
        loss(((x - x.logsumexp(-1, keepdim=True)) / temperature).softmax(-1))
        for x in (z, conditional)
    )
    log_p = log_probability(theta, drawn)
    if isinstance(eta, Tensor):  # the signal has a gradient to eta and to the temperature
        (score,) = torch.autograd.grad(log_p.sum(), theta)
        signal = (loss(drawn) - eta * again)[..., None, None]
        (path,) = torch.autograd.grad((relaxed - again).sum(), theta, create_graph=True)
        return ((signal * score + eta * path) * theta).sum((-2, -1))
    return (loss(drawn) - eta * again).detach() * log_p + eta * (relaxed - again)


def arm(theta: Tensor, loss: Loss) -> Tensor:
    """Yin and Zhou (2019); two categories."""
    odds = theta[..., 1] - theta[..., 0]
    uniform = torch.rand_like(odds)
    first, second = (uniform > torch.sigmoid(-odds)), (uniform < torch.sigmoid(odds))
    difference = (loss(_binary(first, theta)) - loss(_binary(second, theta))).detach()
    return difference * ((uniform - 0.5) * odds).sum(-1)


def disarm(theta: Tensor, loss: Loss) -> Tensor:
    """Dong et al. (2020); two categories."""
    odds = theta[..., 1] - theta[..., 0]
    uniform = torch.rand_like(odds)
    first, second = (uniform > torch.sigmoid(-odds)), (uniform < torch.sigmoid(odds))
    difference = (loss(_binary(first, theta)) - loss(_binary(second, theta))).detach()
    weight = 0.5 * (first.to(theta) - second.to(theta)) * torch.sigmoid(odds.abs())
    return difference * (weight.detach() * odds).sum(-1)


def arms(theta: Tensor, loss: Loss, samples: int = 4) -> Tensor:
    """Dimitriev and Zhou (2021), with the Dirichlet copula; two categories."""
    odds = theta[..., 1] - theta[..., 0]
    p, order = torch.sigmoid(odds), samples - 1
    draws = odds.new_empty(samples, *odds.shape).exponential_()
    uniform = (1 - draws / draws.sum(0)) ** order
    bits = torch.where(p < 0.5, uniform < p, 1 - uniform < p)
    joint = torch.where(p < 0.5, _both(p, order), 2 * p - 1 + _both(1 - p, order))
    scale = p * (1 - p) / (p - joint)
    losses = loss(_binary(bits, theta)).detach()
    centred = ((losses - losses.mean(0)).unsqueeze(-1) * (bits.to(theta) - p)).sum(0)
    return ((centred * scale / order).detach() * odds).sum(-1)


def _both(p: Tensor, order: int) -> Tensor:
    return (2 * p ** (1 / order) - 1).clamp(min=0) ** order


def _binary(bits: Tensor, like: Tensor) -> Tensor:
    return torch.stack((~bits, bits), -1).to(like)


SURROGATES: dict[str, Surrogate] = {
    "reinforce": reinforce,
    "reinforce_loo": reinforce_loo,
    "muprop": muprop,
    "rebar, uncoupled": rebar,
    "rebar, uncoupled, learned": rebar_learned,
    "arm": arm,
    "disarm": disarm,
    "arms": arms,
}
