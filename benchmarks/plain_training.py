"""One run in plain torch, as the comparison trains it: no replica axis, nothing of raysweep."""

import functools
import itertools
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 100


def straight_through(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A one-hot sample that carries the gradient of the softmax at a temperature."""
    p = logits.softmax(-1)
    uniform = torch.rand(p.shape[:-1], generator=generator)
    index = (uniform.unsqueeze(-1) > p.detach().cumsum(-1)[..., :-1]).sum(-1)
    one_hot = functional.one_hot(index, p.shape[-1]).to(p.dtype)
    relaxed = p if temperature == 1 else (logits / temperature).softmax(-1)
    return one_hot + (relaxed - relaxed.detach())


@functools.cache
def digits() -> Tensor:
    """The training images, once per worker."""
    return torch.tensor(load_digits().data[:1500] / 16, dtype=torch.float32)


def train_digits(task: dict[str, Any], run: dict[str, Any]) -> float:
    """One run; the mean loss of its last epoch."""
    torch.manual_seed(run["seed"])
    generator = torch.Generator().manual_seed(run["seed"])
    images, latents, categories = digits(), task["latents"], task["categories"]
    widths = [64, 512, 256, latents * categories]
    encoder, decoder = (_net(each) for each in (widths, widths[::-1]))
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()], lr=run["lr"], fused=True
    )
    total = torch.zeros(())
    constant = latents * torch.tensor(float(categories)).log()
    for step in range(task["steps"]):
        if step % 15 == 0:
            order = torch.randperm(1500, generator=generator).view(15, 100)
        x = images[order[step % 15]]
        logits = encoder(x).view(100, latents, categories)
        code = straight_through(logits, run["temperature"], generator)
        output = decoder(code.flatten(1))
        cross_entropy = functional.binary_cross_entropy_with_logits(output, x, reduction="sum")
        log_q = logits.log_softmax(-1)
        loss = (cross_entropy + (log_q.exp() * log_q).sum()) / 100 + constant
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= task["steps"] - 15:
            total += loss.detach()
    return total.item() / 15


def _net(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def train_polynomial(task: dict[str, Any], run: dict[str, Any]) -> float:
    """One run; the mean loss of its last 100 steps."""
    generator = torch.Generator().manual_seed(run["seed"])
    start = torch.rand(task["latents"], 2, generator=generator) * 0.02 - 0.01
    theta = nn.Parameter(start)
    optimizer = torch.optim.Adam([theta], lr=run["lr"], fused=True)
    total = torch.zeros(())
    for step in range(task["steps"]):
        logits = theta.expand(task["batch_size"], -1, -1)
        sample = straight_through(logits, run["temperature"], generator)
        loss = (sample[..., 0] - 0.45).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= task["steps"] - WINDOW:
            total += loss.detach()
    return total.item() / WINDOW
