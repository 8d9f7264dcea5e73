"""One run in plain torch, as the other sides train it: no replica axis, nothing of raysweep."""

import functools
import gzip
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

WINDOW = 100
Settings = Mapping[str, Any]


def train(name: str, task: Settings, run: Settings) -> float:
    """Train one run with one thread; return the mean loss of its last steps.

    Args:
        name: Name of a function below.
        task: Settings of all runs.
        run: Settings of this one.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return {
        "autoencoder": autoencoder,
        "polynomial": polynomial,
        "layers": layers,
        "network": network,
        "nothing": nothing,
    }[name](task, run)


def straight_through(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Return a one-hot sample that carries the gradient of the softmax at a temperature."""
    p = logits.softmax(-1)
    uniform = torch.rand(p.shape[:-1], generator=generator)
    index = (uniform.unsqueeze(-1) > p.detach().cumsum(-1)[..., :-1]).sum(-1)
    relaxed = p if temperature == 1 else (logits / temperature).softmax(-1)
    return one_hot(index, p.shape[-1]).to(p.dtype) + (relaxed - relaxed.detach())


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    """Return the training images of the digits and their classes, once per worker."""
    data = load_digits()
    return torch.tensor(data.data[:1500] / 16, dtype=torch.float32), torch.tensor(
        data.target[:1500]
    )


@functools.cache
def mnist() -> Tensor:
    """Return the training images of MNIST, once per worker."""
    folder = Path(os.environ["RAYSWEEP_DATA"]) / "MNIST" / "raw"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        pixels = torch.frombuffer(bytearray(file.read()[16:]), dtype=torch.uint8)
    return pixels.view(60_000, 784).float() / 255


def autoencoder(task: Settings, run: Settings) -> float:
    """Train a VAE of categorical variables; return the mean loss of 15 steps."""
    torch.manual_seed(run["seed"])
    generator = torch.Generator().manual_seed(run["seed"])
    images = digits()[0] if task["dataset"] == "digits" else mnist()
    latents, categories = task["latents"], task["categories"]
    widths = [images.shape[1], 512, 256, latents * categories]
    encoder, decoder = (_net(each) for each in (widths, widths[::-1]))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=run["lr"], fused=True)
    total, batches = torch.zeros(()), len(images) // 100
    constant = latents * torch.tensor(float(categories)).log()
    for step in range(task["steps"]):
        if step % batches == 0:
            order = torch.randperm(len(images), generator=generator).view(batches, 100)
        x = images[order[step % batches]]
        logits = encoder(x).view(100, latents, categories)
        code = straight_through(logits, run["temperature"], generator)
        reconstruction = binary_cross_entropy_with_logits(
            decoder(code.flatten(1)), x, reduction="sum"
        )
        log_q = logits.log_softmax(-1)
        loss = (reconstruction + (log_q.exp() * log_q).sum()) / 100 + constant
        _update(optimizer, loss)
        if step >= task["steps"] - 15:
            total += loss.detach()
    return total.item() / 15


def _net(widths: list[int]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        modules += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules[:-1])


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def polynomial(task: Settings, run: Settings) -> float:
    """Train the quadratic programme; return the mean loss of the last 100 steps."""
    generator = torch.Generator().manual_seed(run["seed"])
    theta = nn.Parameter(torch.rand(task["latents"], 2, generator=generator) * 0.02 - 0.01)
    optimizer = torch.optim.Adam([theta], lr=run["lr"], fused=True)
    total = torch.zeros(())
    for step in range(task["steps"]):
        logits = theta.expand(task["batch_size"], -1, -1)
        sample = straight_through(logits, run["temperature"], generator)
        loss = (sample[..., 0] - 0.45).square().mean()
        _update(optimizer, loss)
        if step >= task["steps"] - WINDOW:
            total += loss.detach()
    return total.item() / min(WINDOW, task["steps"])


def layers(task: Settings, run: Settings) -> float:
    """Train a network of two layers of binary units; return the mean loss of 100 steps."""
    torch.manual_seed(run["seed"])
    images, classes = (each[:1400] for each in digits())
    sizes = [64, *task["hidden"]["value"], 10]
    maps = nn.ModuleList([nn.Linear(*pair) for pair in itertools.pairwise(sizes)])
    _whiten(maps[:-1], images[:128])
    optimizer = torch.optim.SGD(maps.parameters(), lr=run["lr"], momentum=0.9, nesterov=True)
    total, batches = torch.zeros(()), len(images) // 64
    for step in range(task["steps"]):
        if step % batches == 0:
            order = torch.randperm(len(images))[: 64 * batches].view(batches, 64)
        chosen = order[step % batches]
        states = images[chosen]
        for layer in maps[:-1]:
            mean = 2 * layer(states).sigmoid()
            hard = 2 * (2 * torch.rand_like(mean) < mean.detach()).float() - 1
            states = hard + (mean - mean.detach())
        loss = cross_entropy(maps[-1](states), classes[chosen])
        _update(optimizer, loss)
        if step >= task["steps"] - WINDOW:
            total += loss.detach()
    return total.item() / min(WINDOW, task["steps"])


@torch.no_grad()
def _whiten(maps: Any, states: Tensor) -> None:
    for layer in maps:
        a = layer(states)
        deviation, mean = torch.std_mean(a, 0, correction=0)
        layer.weight /= deviation.unsqueeze(1)
        layer.bias.sub_(mean).div_(deviation)
        p = ((a - mean) / deviation).sigmoid()
        states = 2 * torch.bernoulli(p) - 1


def network(task: Settings, run: Settings) -> float:
    """Train a network on random data; return its last loss."""
    torch.manual_seed(run["seed"])
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=run["lr"])
    loss = torch.zeros(())
    for _ in range(task["steps"]):
        i = torch.randint(4096, (128,))
        loss = cross_entropy(model(x[i]), y[i])
        _update(optimizer, loss)
    return loss.item()


def nothing(task: Settings, run: Settings) -> float:
    """Return a constant."""
    return 0.0
